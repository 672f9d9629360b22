import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { type ImapAccess, readMailbox } from '../imap-reader.js';
import { dataDirectory, freePorts } from './loopback.js';
import {
  access,
  clearAway,
  end,
  endAll,
  giveToServer,
  isUp,
  launch,
  type MailServer,
  PASSWORD,
  seedImap,
  serverDirectory,
  stateOf,
} from './mail-server.js';
import { serverAccount, Unavailable, unpack, whyNoPackages } from './unpack.js';

export interface CyrusOptions {
  /** "/" separates levels instead of ".". Default true. */
  readonly unixHierarchySep?: boolean;
  /** Mailboxes of a user stand beside INBOX instead of below it. Default true. */
  readonly altNamespace?: boolean;
  /** More lines for imapd.conf, e.g. "maxmessagesize: 100000". */
  readonly config?: string;
}

const PACKAGES = ['cyrus-common', 'cyrus-imapd', 'cyrus-pop3d', 'libsasl2-2', 'libsasl2-modules'];

/** Why Cyrus cannot run here; null: it can. */
export const cyrusUnavailable = whyNoPackages;

/** Starts a private Cyrus on loopback, without root. A user's mailbox is made by the first IMAP login. */
export async function startCyrus(options: CyrusOptions = {}): Promise<MailServer> {
  const reason = cyrusUnavailable();
  if (reason !== null) throw new Unavailable(reason);
  const { root, libraryPath } = await unpack('cyrus', PACKAGES);
  const data = await dataDirectory('cyrus');
  for (const dir of ['', 'conf', 'conf/db', 'conf/proc', 'conf/socket', 'spool', 'run', 'sasl'])
    await serverDirectory(join(data, dir));
  const passwords = await passwordDaemon(join(data, 'sasl', 'mux'));
  await giveToServer(join(data, 'sasl', 'mux'));
  // Of what it does Cyrus tells syslog alone; these two hold what it says besides, before and after it is a daemon.
  const logFile = join(data, 'cyrus.log');
  const errorFile = join(data, 'run', 'cyrus.err');
  const said = async () =>
    (await Promise.all([logFile, errorFile].map(file => readFile(file, 'utf8').catch(() => '')))).join('');
  const imapdConf = join(data, 'imapd.conf');
  await writeFile(imapdConf, imapdConfiguration(data, options));
  const bin = join(root, 'usr/lib/cyrus/bin');
  const env = { LD_LIBRARY_PATH: libraryPath, CYRUS_VERBOSE: '0', SASL_PATH: saslPlugins(libraryPath) };

  for (let attempt = 1; ; attempt += 1) {
    const [imapPort = 0, pop3Port = 0] = await freePorts(2);
    const cyrusConf = join(data, 'cyrus.conf');
    await writeFile(
      cyrusConf,
      `START {
  recover cmd="${bin}/ctl_cyrusdb -C ${imapdConf} -r"
}
SERVICES {
  imap cmd="${bin}/imapd -C ${imapdConf}" listen="127.0.0.1:${imapPort}" prefork=0 maxchild=100
  pop3 cmd="${bin}/pop3d -C ${imapdConf}" listen="127.0.0.1:${pop3Port}" prefork=0 maxchild=100
}
EVENTS {
  checkpoint cmd="${bin}/ctl_cyrusdb -C ${imapdConf} -c" period=30
}
`,
    );
    const pidFile = join(data, 'run', 'master.pid');
    const command = [`${bin}/master`, '-C', imapdConf, '-M', cyrusConf, '-L', errorFile, '-p', pidFile];
    // its master may spin for ever on SIGTERM
    const master = launch(command, env, logFile, 'KILL');
    if (await isUp([imapPort, pop3Port], master)) {
      const of = (user: string): ImapAccess => access(imapPort, user);
      return {
        imapPort,
        pop3Port,
        password: PASSWORD,
        masterPid: master.pid ?? 0,
        access: of,
        seedPop3: (user, messages) =>
          seedImap(
            of(user),
            'INBOX',
            messages.map(octets => ({ octets })),
          ),
        seedImap: (user, mailbox, mails) => seedImap(of(user), mailbox, mails),
        readMailbox: (user, mailbox) => readMailbox(of(user), mailbox),
        processesOf: (user, protocol = 'imap') => processesOf(join(data, 'conf', 'proc'), protocol, user),
        log: async () => `${stateOf('master', master)}\n${await said()}`,
        stop: async () => {
          await endAll(master, 500);
          passwords.close();
          await clearAway('Cyrus', data, logFile);
        },
      };
    }
    await end(master);
    if (attempt < 3) continue;
    passwords.close();
    throw new Error(
      `Cyrus did not start; its files are in ${data}; ${stateOf('master', master)}; it said:\n${await said()}`,
    );
  }
}

function saslPlugins(libraryPath: string): string {
  return libraryPath
    .split(':')
    .map(dir => join(dir, 'sasl2'))
    .join(':');
}

/** The protocol of saslauthd: four counted strings (user, password, service, realm) in, one counted string out. */
async function passwordDaemon(path: string): Promise<Server> {
  const server = createServer(socket => {
    let held = Buffer.alloc(0);
    socket.on('error', () => socket.destroy());
    socket.on('data', chunk => {
      held = Buffer.concat([held, chunk]);
      const fields = countedStrings(held, 4);
      if (fields === null) return;
      const answer = fields[1] === PASSWORD ? 'OK' : 'NO';
      socket.end(Buffer.concat([Buffer.from([0, answer.length]), Buffer.from(answer)]));
    });
  });
  server.unref();
  await new Promise<void>(resolve => server.listen(path, resolve));
  return server;
}

function countedStrings(octets: Buffer, count: number): string[] | null {
  const found: string[] = [];
  for (let at = 0; found.length < count; ) {
    if (octets.length < at + 2) return null;
    const end = at + 2 + octets.readUInt16BE(at);
    if (octets.length < end) return null;
    found.push(octets.toString('utf8', at + 2, end));
    at = end;
  }
  return found;
}

/** Each serving process keeps a file named after its id: service, client, user and mailbox between tabs. */
async function processesOf(proc: string, protocol: string, user: string): Promise<number[]> {
  const found: number[] = [];
  for (const pid of await readdir(proc)) {
    const fields = (await readFile(join(proc, pid), 'utf8').catch(() => '')).split('\t');
    if (fields[0] === protocol && fields[2] === user) found.push(Number(pid));
  }
  return found;
}

function imapdConfiguration(data: string, options: CyrusOptions): string {
  const { user } = serverAccount();
  return `configdirectory: ${data}/conf
defaultpartition: default
partition-default: ${data}/spool
cyrus_user: ${user}
admins: admin
allowplaintext: 1
sasl_pwcheck_method: saslauthd
sasl_saslauthd_path: ${data}/sasl/mux
sasl_mech_list: PLAIN LOGIN
servername: localhost
defaultdomain: localhost
virtdomains: off
unixhierarchysep: ${options.unixHierarchySep === false ? 0 : 1}
altnamespace: ${options.altNamespace === false ? 0 : 1}
autocreate_quota: 0
autocreate_post: 1
idlesocket: ${data}/run/idle
lmtpsocket: ${data}/run/lmtp
notifysocket: ${data}/run/notify
sievedir: ${data}/sieve
maxmessagesize: 0
popminpoll: 0
popuseimapflags: 0
conversations: 0
duplicatesuppression: 0
syslog_prefix: test-${randomBytes(2).toString('hex')}
${options.config ?? ''}
`;
}
