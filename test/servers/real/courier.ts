import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { basename, join } from 'node:path';
import { type ImapAccess, readMailbox } from '../imap-reader.js';
import { dataDirectory, freePorts } from './loopback.js';
import {
  access,
  clearAway,
  descendants,
  end,
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
import { relocate, serverAccount, Unavailable, unpack, whyNoPackages } from './unpack.js';

export interface CourierOptions {
  /** What IMAP CAPABILITY announces. */
  readonly capabilities?: string;
}

export interface Courier extends MailServer {
  maildirOf(user: string): string;
}

const PACKAGES = [
  'courier-authlib',
  'courier-base',
  'courier-imap',
  'courier-pop',
  'gamin',
  'libgamin0',
  'libcourier-unicode4',
];
const CAPABILITIES = 'IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE';
/** Where Debian's library looks for the password daemon. */
const COMPILED_IN_SOCKET = '/run/courier/authdaemon/socket';

/** The library holds that path as two constants of 16 octets which overlap in one character, one after the other. */
function asCompiled(path: string): string {
  return path.slice(0, 16) + path.slice(15);
}

/** Why Courier cannot run here; null: it can. */
export const courierUnavailable = whyNoPackages;

/** Starts a private Courier on loopback, without root. */
export async function startCourier(options: CourierOptions = {}): Promise<Courier> {
  const reason = courierUnavailable();
  if (reason !== null) throw new Unavailable(reason);
  const { root, libraryPath } = await unpack('courier', PACKAGES);
  const data = await dataDirectory('courier');
  for (const dir of ['', 'mail', 'lib']) await serverDirectory(join(data, dir));
  const maildirOf = (user: string): string => join(data, 'mail', user, 'Maildir');

  // A copy of the library that looks for the daemon in our folder; the path is filled up to its length with slashes.
  await copyFile(join(root, 'usr/lib/libcourierauth.so.0.0.0'), join(data, 'lib', 'libcourierauth.so.0'));
  const meeting = await mkdtemp('/tmp/mf-c-');
  await giveToServer(meeting);
  const socket = meeting + 'socket'.padStart(COMPILED_IN_SOCKET.length - meeting.length, '/');
  await relocate(join(data, 'lib'), new Map([[asCompiled(COMPILED_IN_SOCKET), asCompiled(socket)]]));
  const passwords = await passwordDaemon(socket, async user => {
    await serverDirectory(join(data, 'mail', user));
    await seedMaildir(maildirOf(user), [], 'lf');
    return join(data, 'mail', user);
  });
  await giveToServer(socket);

  const logFile = join(data, 'courier.log');
  const env = {
    LD_LIBRARY_PATH: `${join(data, 'lib')}:${libraryPath}`,
    GAM_CLIENT_ID: basename(meeting),
    MAXDAEMONS: '100',
    MAXPERIP: '100',
    IMAP_CAPABILITY: options.capabilities ?? CAPABILITIES,
    IMAP_KEYWORDS: '1',
    IMAP_ACL: '0',
    IMAP_IDLE_TIMEOUT: '60',
    IMAP_MAILBOX_SANITY_CHECK: '0',
    IMAP_CHECK_ALL_FOLDERS: '0',
    IMAP_OBSOLETE_CLIENT: '0',
    IMAP_UMASK: '022',
    IMAP_ULIMITD: '1048576',
    IMAP_USELOCKS: '1',
    IMAP_TRASHFOLDERNAME: 'Trash',
    IMAP_EMPTYTRASH: '',
    MAILDIRPATH: 'Maildir',
    IMAP_STARTTLS: 'NO',
    IMAP_TLS_REQUIRED: '0',
    IMAPDSTART: 'YES',
    DEBUG_LOGIN: '0',
    POP3AUTH: 'PLAIN',
    POP3_PROXY: '0',
    POP3_STARTTLS: 'NO',
    SENDMAIL: '/bin/false',
    AUTHMODULES: 'authdaemon',
  };
  // imapd watches Maildirs through gamin's daemon, and waits seconds at each login where there is none.
  const watcher = launch(
    [join(root, 'usr/libexec/gam_server'), '--notimeout', env.GAM_CLIENT_ID],
    env,
    join(data, 'gamin.log'),
  );
  const listen = [
    join(root, 'usr/sbin/couriertcpd'),
    '-address=127.0.0.1',
    '-maxprocs=100',
    '-maxperip=100',
    '-nodnslookup',
    '-noidentlookup',
  ];
  const lib = join(root, 'usr/lib/courier/courier');

  for (let attempt = 1; ; attempt += 1) {
    const [imapPort = 0, pop3Port = 0] = await freePorts(2);
    const imap = launch(
      [...listen, String(imapPort), join(lib, 'imaplogin'), join(root, 'usr/bin/imapd'), 'Maildir'],
      env,
      logFile,
    );
    const pop3 = launch(
      [...listen, String(pop3Port), join(lib, 'courierpop3login'), join(lib, 'courierpop3d'), 'Maildir'],
      env,
      logFile,
    );
    if ((await isUp([imapPort], imap)) && (await isUp([pop3Port], pop3))) {
      const of = (user: string): ImapAccess => access(imapPort, user);
      return {
        imapPort,
        pop3Port,
        password: PASSWORD,
        masterPid: imap.pid ?? 0,
        access: of,
        maildirOf,
        seedPop3: async (user, messages) => {
          await serverDirectory(join(data, 'mail', user));
          await seedMaildir(maildirOf(user), messages, 'lf');
        },
        seedImap: (user, mailbox, mails) => seedImap(of(user), mailbox, mails),
        readMailbox: (user, mailbox) => readMailbox(of(user), mailbox),
        processesOf: (user, protocol = 'imap') =>
          descendants((protocol === 'imap' ? imap : pop3).pid ?? 0, async pid => {
            const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
            return environment.split('\0').includes(`AUTHENTICATED=${user}`);
          }),
        log: async () =>
          [stateOf('imap', imap), stateOf('pop3', pop3), await readFile(logFile, 'utf8').catch(() => '')].join('\n'),
        stop: async () => {
          await Promise.all([end(imap), end(pop3), end(watcher)]);
          passwords.close();
          await rm(meeting, { recursive: true, force: true });
          await clearAway('Courier', data, logFile);
        },
      };
    }
    await Promise.all([end(imap), end(pop3)]);
    if (attempt < 3) continue;
    passwords.close();
    await end(watcher);
    throw new Error(
      `Courier did not start; its files are in ${data}; it said:\n${await readFile(logFile, 'utf8').catch(() => '')}`,
    );
  }
}

/**
 * The protocol of authdaemond: NAME=value lines about the client, "AUTH n" and n octets (service, type, user, password, a line each) in; NAME=value lines
 * and a dot, or FAIL, out. Every user exists.
 */
async function passwordDaemon(path: string, home: (user: string) => Promise<string>): Promise<Server> {
  const { uid, gid } = serverAccount();
  const answer = async (request: string): Promise<string> => {
    const [, type, user = '', password] = request.split('\n');
    if (type !== 'login' || password !== PASSWORD || !/^[\w.@+-]+$/.test(user)) return 'FAIL\n';
    const at = await home(user);
    return `UID=${uid}\nGID=${gid}\nHOME=${at}\nADDRESS=${user}\nNAME=${user}\nMAILDIR=${at}/Maildir\nPASSWD2=${PASSWORD}\n.\n`;
  };
  const server = createServer(socket => {
    let held = '';
    socket.on('error', () => socket.destroy());
    socket.on('data', chunk => {
      held += chunk.toString('utf8');
      const head = /^(?:\w+=.*\n)*AUTH (\d+)\n/.exec(held);
      if (head === null || held.length < head[0].length + Number(head[1])) return;
      void answer(held.slice(head[0].length)).then(
        text => socket.end(text),
        () => socket.destroy(),
      );
    });
  });
  server.unref();
  await new Promise<void>(resolve => server.listen(path, resolve));
  return server;
}
