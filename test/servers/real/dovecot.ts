import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { chown, copyFile, lstat, mkdir, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type AppendMail, type ImapAccess, openImap, readMailbox, type StoredMail } from '../imap-reader.js';
import { type Certificates, certificates } from './certificates.js';
import { dataDirectory, freePorts, greets } from './loopback.js';
import { relocate, serverAccount, shortName, Unavailable, unpack, whyNoPackages } from './unpack.js';

export interface DovecotOptions {
  /** Default: a throw-away authority's certificate for localhost and 127.0.0.1. */
  readonly tls?: Certificates;
  readonly format?: 'maildir' | 'sdbox' | 'mdbox';
  /** Hierarchy separator clients see. Default "/". */
  readonly separator?: '/' | '.';
  /** Namespace prefix, e.g. "INBOX.". Default none. */
  readonly prefix?: string;
  /** Replaces what IMAP CAPABILITY announces, e.g. "IMAP4rev1 UIDPLUS". */
  readonly capabilityOverride?: string;
  /** Storage limit of each user in kilobytes. */
  readonly quotaKilobytes?: number;
  /** More lines for dovecot.conf, after all others. */
  readonly config?: string;
  /** Default: memory (/dev/shm) where there is room. */
  readonly dataDirectory?: string;
}

export interface Dovecot {
  readonly imapPort: number;
  readonly imapsPort: number;
  readonly pop3Port: number;
  readonly pop3sPort: number;
  /** PEM of the authority that signed the server's certificate. */
  readonly ca: Buffer;
  /** Any user logs in with it. Users need not be created. */
  readonly password: string;
  /** Mail store of a user: a Maildir with format maildir. */
  maildirOf(user: string): string;
  /** Puts messages in INBOX in the given order. A Maildir keeps the octets as they are; bare LF is served as CRLF. */
  seedPop3(user: string, messages: readonly Buffer[]): Promise<void>;
  /** APPENDs to a mailbox (wire name), creating it where it is missing. */
  seedImap(user: string, mailbox: string, mails: readonly AppendMail[]): Promise<void>;
  access(user: string): ImapAccess;
  readMailbox(user: string, mailbox: string): Promise<StoredMail[]>;
  /** Ids of the server processes that serve this user now, e.g. to freeze them. Default: IMAP. */
  processesOf(user: string, protocol?: 'imap' | 'pop3'): Promise<number[]>;
  readonly masterPid: number;
  /** What it has logged so far. */
  log(): Promise<string>;
  stop(): Promise<void>;
}

const PACKAGES = ['dovecot-core', 'dovecot-imapd', 'dovecot-pop3d'];

/** Why Dovecot cannot run here; null: it can. Costs nothing: the packages are fetched by the first start. */
export function dovecotUnavailable(): string | null {
  return process.env['MAILFERRY_NO_SERVERS'] === undefined ? whyNoPackages() : 'MAILFERRY_NO_SERVERS is set';
}

/** Paths compiled into Debian's programs, and as long ones below /tmp that lead to where they are unpacked. */
async function programs(): Promise<{ program: string; libraryPath: string }> {
  const compiledIn = ['/usr/lib/dovecot', '/usr/bin/doveconf'] as const;
  const instead = (root: string): [string, string] => [`/tmp/mf-${shortName(root)}/l`, `/tmp/mf-${shortName(root)}/cf`];
  const { root, libraryPath } = await unpack('dovecot', PACKAGES, async (unpacked, place) => {
    const [library, doveconf] = instead(place);
    await relocate(
      join(unpacked, 'usr'),
      new Map([
        [compiledIn[0], library],
        [compiledIn[1], doveconf],
      ]),
    );
  });
  for (const [i, link] of instead(root).entries()) {
    const dir = dirname(link);
    await mkdir(dir, { recursive: true, mode: 0o755 });
    if (![0, process.getuid?.()].includes((await lstat(dir)).uid))
      throw new Unavailable(`${dir} belongs to somebody else`);
    await symlink(join(root, compiledIn[i] ?? ''), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
  return { program: join(root, 'usr/sbin/dovecot'), libraryPath };
}

/** Starts a private Dovecot on loopback, without root: as the current user, or as nobody where that is root. */
export async function startDovecot(options: DovecotOptions = {}): Promise<Dovecot> {
  const reason = dovecotUnavailable();
  if (reason !== null) throw new Unavailable(reason);
  const { program, libraryPath } = await programs();
  const tls = options.tls ?? (await certificates());
  const account = serverAccount();
  const asRoot = process.getuid?.() === 0;
  const data = options.dataDirectory ?? (await dataDirectory('dovecot'));
  const own = async (path: string): Promise<void> => (asRoot ? chown(path, account.uid, account.gid) : undefined);
  for (const dir of ['', 'run', 'state', 'mail', 'home']) {
    await mkdir(join(data, dir), { recursive: true });
    await own(join(data, dir));
  }
  await writeFile(join(data, 'tls.crt'), tls.cert);
  await writeFile(join(data, 'tls.key'), tls.key, { mode: 0o600 });
  await own(join(data, 'tls.key'));
  const logFile = join(data, 'dovecot.log');
  const log = async (): Promise<string> => readFile(logFile, 'utf8').catch(() => '');

  for (let attempt = 1; ; attempt += 1) {
    const ports = await freePorts(4);
    const [imapPort = 0, imapsPort = 0, pop3Port = 0, pop3sPort = 0] = ports;
    const conf = join(data, 'dovecot.conf');
    await writeFile(conf, configuration(data, account.user, { imapPort, imapsPort, pop3Port, pop3sPort }, options));
    const drop = asRoot ? [`--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups'] : [];
    // pdeathsig: a test process that dies takes its server along.
    const master = spawn('setpriv', [...drop, '--pdeathsig', 'TERM', program, '-F', '-c', conf], {
      env: { PATH: '/usr/bin:/bin', LD_LIBRARY_PATH: libraryPath },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = createWriteStream(join(data, 'output.log'), { flags: 'a' });
    master.stdout.pipe(output, { end: false });
    master.stderr.pipe(output, { end: false });
    const gone = (): boolean => master.exitCode !== null || master.signalCode !== null;
    const deadline = Date.now() + 20_000;
    const up = (await greets(imapPort, deadline, gone)) && (await greets(pop3Port, deadline, gone));
    if (up) return handle(master);
    await end(master);
    const said = (await log()) + (await readFile(join(data, 'output.log'), 'utf8').catch(() => ''));
    if (attempt < 3 && said.includes('Address already in use')) continue;
    throw new Error(`Dovecot did not start; its files are in ${data}; it said:\n${said}`);

    function handle(process: ChildProcess): Dovecot {
      const masterPid = process.pid ?? 0;
      const access = (user: string): ImapAccess => ({ port: imapPort, user, password: 'pw' });
      const maildirOf = (user: string): string => join(data, 'mail', user);
      const seedImap: Dovecot['seedImap'] = async (user, mailbox, mails) => {
        const imap = await openImap(access(user));
        if (mailbox.toUpperCase() !== 'INBOX') await imap.command(`CREATE "${mailbox}"`);
        for (const mail of mails) {
          const reply = await imap.append(mailbox, mail);
          if (reply.status !== 'OK') throw new Error(`APPEND: ${reply.text}`);
        }
        await imap.close();
      };
      const seedPop3: Dovecot['seedPop3'] = async (user, messages) => {
        if ((options.format ?? 'maildir') !== 'maildir')
          return seedImap(
            user,
            'INBOX',
            messages.map(octets => ({ octets })),
          );
        const box = maildirOf(user);
        for (const dir of ['', 'cur', 'new', 'tmp']) {
          await mkdir(join(box, dir), { recursive: true });
          await own(join(box, dir));
        }
        const before = (await readdir(join(box, 'cur'))).length;
        for (const [i, octets] of messages.entries()) {
          const time = 1_000_000_000 + before + i; // Dovecot numbers new files in the order of their names
          const file = join(box, 'cur', `${time}.M${before + i}.test,S=${octets.length}:2,`);
          await writeFile(file, octets);
          await utimes(file, time, time);
          await own(file);
        }
      };
      const stop = async (): Promise<void> => {
        await end(process);
        output.end();
        const said = await log();
        if (/\b(Panic|Fatal):/.test(said)) {
          const kept = join(tmpdir(), `mailferry-dovecot-${masterPid}.log`);
          await copyFile(logFile, kept);
          console.error(`Dovecot reported a failure; its log is kept as ${kept}`);
        }
        await rm(data, { recursive: true, force: true });
      };
      return {
        imapPort,
        imapsPort,
        pop3Port,
        pop3sPort,
        masterPid,
        ca: tls.ca,
        password: 'pw',
        maildirOf,
        seedPop3,
        seedImap,
        access,
        log,
        stop,
        readMailbox: (user, mailbox) => readMailbox(access(user), mailbox),
        processesOf: (user, protocol = 'imap') => processesOf(masterPid, protocol, user),
      };
    }
  }
}

async function end(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return;
  const exited = once(process, 'exit');
  process.kill('SIGTERM');
  const force = setTimeout(() => process.kill('SIGKILL'), 10_000);
  await exited;
  clearTimeout(force);
}

/** With verbose_proctitle the title of a serving process names its user: "dovecot/imap [user 127.0.0.1 …]". */
async function processesOf(masterPid: number, protocol: string, user: string): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const parent = /^PPid:\s*(\d+)/m.exec(await readFile(`/proc/${entry}/status`, 'utf8').catch(() => ''))?.[1];
    if (Number(parent) !== masterPid) continue;
    const title = (await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ');
    if (title.startsWith(`dovecot/${protocol} `) && title.includes(`[${user} `)) found.push(Number(entry));
  }
  return found;
}

function configuration(
  data: string,
  user: string,
  ports: { imapPort: number; imapsPort: number; pop3Port: number; pop3sPort: number },
  options: DovecotOptions,
): string {
  const quota = options.quotaKilobytes;
  return `
base_dir = ${data}/run
state_dir = ${data}/state
log_path = ${data}/dovecot.log
protocols = imap pop3
listen = 127.0.0.1
default_internal_user = ${user}
default_internal_group =
default_login_user = ${user}
import_environment = LD_LIBRARY_PATH
service anvil {
  chroot =
}
service imap-login {
  chroot =
  process_limit = 500
  inet_listener imap {
    port = ${ports.imapPort}
  }
  inet_listener imaps {
    port = ${ports.imapsPort}
    ssl = yes
  }
}
service pop3-login {
  chroot =
  process_limit = 500
  inet_listener pop3 {
    port = ${ports.pop3Port}
  }
  inet_listener pop3s {
    port = ${ports.pop3sPort}
    ssl = yes
  }
}
default_process_limit = 500
default_client_limit = 2000
mail_max_userip_connections = 200
disable_plaintext_auth = no
login_trusted_networks =
auth_mechanisms = plain login
auth_failure_delay = 0
verbose_proctitle = yes
shutdown_clients = yes
first_valid_uid = 0
first_valid_gid = 0
mail_location = ${options.format ?? 'maildir'}:${data}/mail/%u
passdb {
  driver = static
  args = password=pw
}
userdb {
  driver = static
  args = uid=${user} gid=${serverAccount().gid} home=${data}/home/%u allow_all_users=yes
}
ssl = yes
ssl_cert = <${data}/tls.crt
ssl_key = <${data}/tls.key
namespace inbox {
  inbox = yes
  separator = ${options.separator ?? '/'}
  prefix = ${options.prefix ?? ''}
}
${options.capabilityOverride === undefined ? '' : `imap_capability = ${options.capabilityOverride}`}
${quota === undefined ? '' : `mail_plugins = quota\nplugin {\n  quota = count:User quota\n  quota_vsizes = yes\n  quota_rule = *:storage=${quota}K\n}\nprotocol imap {\n  mail_plugins = quota imap_quota\n}`}
${options.config ?? ''}
`;
}
