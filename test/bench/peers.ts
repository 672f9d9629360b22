import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onPath } from '../servers/real/unpack.js';
import type { Command } from './measure.js';

/** Everything a contender needs to know of one piece of work. */
export interface Work {
  readonly pop3Port: number;
  /** IMAP of the source, for programs that only read IMAP. */
  readonly sourceImapPort: number;
  readonly imapPort: number;
  readonly from: string;
  readonly to: string;
  readonly password: string;
  /** Empty directory of this run, kept for its second run. */
  readonly directory: string;
}

/** A program that does the same work: its command line, made ready without being timed. */
export interface Peer {
  readonly name: string;
  readonly reads: 'POP3' | 'IMAP';
  prepare(work: Work): Promise<Command>;
}

/** It adds a field X-TUID to every message it copies, so that none is identical. */
const mbsync: Peer = {
  name: 'mbsync',
  reads: 'IMAP',
  async prepare(work) {
    const account = (name: string, port: number, user: string): string =>
      `IMAPAccount ${name}\nHost 127.0.0.1\nPort ${port}\nUser ${user}\nPass ${work.password}\nSSLType None\nAuthMechs LOGIN\n\nIMAPStore ${name}\nAccount ${name}\n\n`;
    const file = join(work.directory, 'mbsyncrc');
    await writeFile(
      file,
      `${account('old', work.sourceImapPort, work.from)}${account('new', work.imapPort, work.to)}Channel all\nFar :old:INBOX\nNear :new:INBOX\nSync Pull New\nCreate Near\nCopyArrivalDate yes\nSyncState ${work.directory}/state\n`,
    );
    return { command: ['mbsync', '-c', file, '-q', 'all'], env: {} };
  },
};

const interimap: Peer = {
  name: 'interimap',
  reads: 'IMAP',
  async prepare(work) {
    const side = (name: string, port: number, user: string): string =>
      `[${name}]\ntype = imap\nhost = 127.0.0.1\nport = ${port}\nusername = ${user}\npassword = ${work.password}\nSTARTTLS = NO\nauth = LOGIN\n`;
    const file = join(work.directory, 'interimap.conf');
    const head = `database = ${work.directory}/interimap.db\nlist-mailbox = INBOX\n`;
    await writeFile(
      file,
      `${head}${side('local', work.imapPort, work.to)}${side('remote', work.sourceImapPort, work.from)}`,
      { mode: 0o600 },
    );
    return {
      command: ['interimap', `--config=${file}`, '-q'],
      env: { XDG_CONFIG_HOME: work.directory, XDG_DATA_HOME: work.directory },
    };
  },
};

const imapsync: Peer = {
  name: 'imapsync',
  reads: 'IMAP',
  async prepare(work) {
    const side = (n: number, port: number, user: string): string[] => [
      `--host${n}`,
      '127.0.0.1',
      `--port${n}`,
      String(port),
      `--user${n}`,
      user,
      `--password${n}`,
      work.password,
      `--nossl${n}`,
      `--notls${n}`,
    ];
    const rest = [
      '--noreleasecheck',
      '--nolog',
      '--pidfile',
      join(work.directory, 'pid'),
      '--tmpdir',
      work.directory,
      '--folder',
      'INBOX',
    ];
    return {
      command: ['imapsync', ...side(1, work.sourceImapPort, work.from), ...side(2, work.imapPort, work.to), ...rest],
      env: {},
    };
  },
};

const pop2imap: Peer = {
  name: 'pop2imap',
  reads: 'POP3',
  async prepare(work) {
    const side = (n: number, port: number, user: string): string[] => [
      `--host${n}`,
      '127.0.0.1',
      `--port${n}`,
      String(port),
      `--user${n}`,
      user,
      `--password${n}`,
      work.password,
    ];
    return {
      command: ['pop2imap', ...side(1, work.pop3Port, work.from), ...side(2, work.imapPort, work.to), '--quiet'],
      env: {},
    };
  },
};

/** Those this machine has. */
export function peersHere(): Peer[] {
  return [interimap, mbsync, imapsync, pop2imap].filter(peer => onPath(peer.name));
}
