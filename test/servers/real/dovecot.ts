import type { ChildProcess } from 'node:child_process';
import { lstat, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type ImapAccess, readMailbox } from '../imap-reader.js';
import { type Certificates, certificates } from './certificates.js';
import { dataDirectory, freePorts } from './loopback.js';
import {
  access,
  clearAway,
  descendants,
  end,
  endAll,
  giveToServer,
  isUp,
  launch,
  type MailServer,
  PASSWORD,
  seedImap,
  seedMaildir,
  serverDirectory,
  stateOf,
} from './mail-server.js';
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

export interface Dovecot extends MailServer {
  readonly imapsPort: number;
  readonly pop3sPort: number;
  /** PEM of the authority that signed the server's certificate. */
  readonly ca: Buffer;
  /** Mail store of a user: a Maildir with format maildir, where seedPop3 keeps octets as they are (bare LF is served as CRLF). */
  maildirOf(user: string): string;
}

const PACKAGES = ['dovecot-core', 'dovecot-imapd', 'dovecot-pop3d'];

/** Why Dovecot cannot run here; null: it can. Costs nothing: the packages are fetched by the first start. */
export const dovecotUnavailable = whyNoPackages;

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
  const tls = options.tls ?? certificates();
  const data = options.dataDirectory ?? (await dataDirectory('dovecot'));
  for (const dir of ['', 'run', 'state', 'mail', 'home']) await serverDirectory(join(data, dir));
  await writeFile(join(data, 'tls.crt'), tls.cert);
  await writeFile(join(data, 'tls.key'), tls.key, { mode: 0o600 });
  await giveToServer(join(data, 'tls.key'));
  const logFile = join(data, 'dovecot.log');
  const conf = join(data, 'dovecot.conf');

  for (let attempt = 1; ; attempt += 1) {
    const [imapPort = 0, imapsPort = 0, pop3Port = 0, pop3sPort = 0] = await freePorts(4);
    const ports = { imapPort, imapsPort, pop3Port, pop3sPort };
    await writeFile(conf, configuration(data, ports, options));
    const master = launch([program, '-F', '-c', conf], { LD_LIBRARY_PATH: libraryPath }, join(data, 'output.log'));
    if (await isUp([imapPort, pop3Port], master)) return describe(master, data, logFile, ports, tls.ca, options);
    await end(master);
    const said = await readLogs(logFile, join(data, 'output.log'));
    if (attempt < 3 && said.includes('Address already in use')) continue;
    throw new Error(`Dovecot did not start; its files are in ${data}; it said:\n${said}`);
  }
}

async function readLogs(...files: readonly string[]): Promise<string> {
  return (await Promise.all(files.map(file => readFile(file, 'utf8').catch(() => '')))).join('');
}

function describe(
  master: ChildProcess,
  data: string,
  logFile: string,
  ports: Ports,
  ca: Buffer,
  options: DovecotOptions,
): Dovecot {
  const masterPid = master.pid ?? 0;
  const of = (user: string): ImapAccess => access(ports.imapPort, user);
  const maildirOf = (user: string): string => join(data, 'mail', user);
  return {
    ...ports,
    ca,
    masterPid,
    password: PASSWORD,
    access: of,
    maildirOf,
    seedPop3: async (user, messages) =>
      (options.format ?? 'maildir') === 'maildir'
        ? seedMaildir(maildirOf(user), messages, 'asIs')
        : seedImap(
            of(user),
            'INBOX',
            messages.map(octets => ({ octets })),
          ),
    seedImap: (user, mailbox, mails) => seedImap(of(user), mailbox, mails),
    readMailbox: (user, mailbox) => readMailbox(of(user), mailbox),
    processesOf: (user, protocol = 'imap') =>
      // With verbose_proctitle the title of a serving process names its user: "dovecot/imap [user 127.0.0.1 …]".
      descendants(masterPid, async pid => {
        const title = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ');
        return title.startsWith(`dovecot/${protocol} `) && title.includes(`[${user} `);
      }),
    log: async () => `${stateOf('master', master)}\n${await readLogs(logFile)}`,
    stop: async () => {
      await endAll(master, 100);
      await clearAway('Dovecot', data, logFile);
    },
  };
}

interface Ports {
  readonly imapPort: number;
  readonly imapsPort: number;
  readonly pop3Port: number;
  readonly pop3sPort: number;
}

function configuration(data: string, ports: Ports, options: DovecotOptions): string {
  const { user, gid } = serverAccount();
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
  # no waiting after somebody's wrong password
  unix_listener anvil-auth-penalty {
    mode = 0
  }
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
  args = uid=${user} gid=${gid} home=${data}/home/%u allow_all_users=yes
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
