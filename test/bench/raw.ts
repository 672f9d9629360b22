/**
 * The limit: what two protocols and two servers allow when nothing is kept safe. Pipelined RETR on one side, MULTIAPPEND
 * or pipelined APPEND on the other; no ledger, no digest, no recovery. Stands alone (no import but Node's), so that it
 * is measured as plain Node would run it.
 *
 *   node raw.mjs '{"pop3Port":…,"imapPort":…,"from":"src","to":"dst","password":"pw","window":512,"batch":200}'
 *
 * Instead of pop3Port an mbox file ("mbox": path, mboxrd) is read; "batch": 1 sends single APPENDs, "select": true opens
 * the target mailbox first, "literals": "synchronising" waits for every "+". "uidl": true only logs in, lists and leaves.
 */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';

interface Options {
  readonly pop3Port?: number;
  readonly mbox?: string;
  readonly imapPort: number;
  readonly from: string;
  readonly to: string;
  readonly password: string;
  /** RETR in flight. */
  readonly window: number;
  /** Messages an APPEND. */
  readonly batch: number;
  readonly select?: boolean;
  readonly literals?: 'plus' | 'synchronising';
  readonly uidl?: boolean;
}

/** Octets read and not yet acknowledged, and octets of APPENDs in flight, at most. */
const READ_AHEAD = 64e6;
const APPENDS_IN_FLIGHT = 64;
const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');
const END = Buffer.from('\r\n.\r\n');

const options = JSON.parse(process.argv[2] ?? '{}') as Options;
const started = performance.now();
const queue: Buffer[] = [];
let unacknowledged = 0;
let total = Number.POSITIVE_INFINITY;
let arrived = 0;
let stored = 0;
let octets = 0;

function fail(text: string): never {
  console.error(`raw: ${text}`);
  process.exit(1);
}

function lines(socket: Socket, line: (text: string) => void): void {
  let held = '';
  socket.on('data', chunk => {
    held += chunk.toString('latin1');
    const all = held.split('\r\n');
    held = all.pop() ?? '';
    for (const text of all) line(text);
  });
}

/** The date of the top Received field, as APPEND takes it. */
function internalDate(mail: Buffer): string {
  const head = mail.toString('latin1', 0, Math.min(mail.length, 3000));
  const at = head.search(/^Received:/im);
  const semicolon = at < 0 ? -1 : head.indexOf(';', at);
  const time = Date.parse(
    head
      .slice(semicolon + 1, semicolon + 60)
      .split('\r\nF')[0]
      ?.match(/\d+ \w{3} \d{4} [\d:]+ [+-]\d{4}/)?.[0] ?? '',
  );
  if (semicolon < 0 || Number.isNaN(time)) return '';
  const iso = new Date(time).toISOString();
  return `"${iso.slice(8, 10)}-${MONTHS[Number(iso.slice(5, 7)) - 1]}-${iso.slice(0, 4)} ${iso.slice(11, 19)} +0000" `;
}

function arrive(mail: Buffer): void {
  arrived += 1;
  unacknowledged += mail.length;
  octets += mail.length;
  queue.push(mail);
  pump();
}

// IMAP side
const inFlight: { messages: number; octets: number }[] = [];
let imap: Socket | null = null;
let tag = 0;
let whenInvited: (() => void) | null = null;

function openImap(): void {
  const socket = connect({ port: options.imapPort, host: '127.0.0.1', noDelay: true });
  socket.on('error', error => fail(String(error)));
  socket.once('data', () => {
    socket.write(`l LOGIN "${options.to}" "${options.password}"\r\n`);
    lines(socket, text => {
      if (text.startsWith('+')) {
        const go = whenInvited;
        whenInvited = null;
        go?.();
      } else if (/^[ls] OK/.test(text)) {
        if (text.startsWith('l') && options.select === true) socket.write('s SELECT INBOX\r\n');
        else imap = socket;
        pump();
      } else if (/^a\d+ OK/.test(text)) {
        const done = inFlight.shift();
        stored += done?.messages ?? 0;
        unacknowledged -= done?.octets ?? 0;
        if (stored === total) finish();
        else {
          pump();
          askForMore();
        }
      } else if ((!text.startsWith('* ') && !text.startsWith('z ')) || (text.startsWith('* BYE') && stored < total))
        fail(`imap ${text}`);
    });
  });
}

function pump(): void {
  const socket = imap;
  while (socket !== null && whenInvited === null && queue.length > 0 && inFlight.length < APPENDS_IN_FLIGHT) {
    // a batch is full, or holds the last messages there are, or the reader waits for room
    if (queue.length < options.batch && arrived < total && unacknowledged < READ_AHEAD / 2) return;
    const mails = queue.splice(0, options.batch);
    inFlight.push({ messages: mails.length, octets: mails.reduce((sum, mail) => sum + mail.length, 0) });
    const [only] = mails;
    if (options.literals === 'synchronising' && only !== undefined) {
      socket.write(`a${++tag} APPEND INBOX ${internalDate(only)}{${only.length}}\r\n`);
      whenInvited = () => {
        socket.write(only);
        socket.write('\r\n');
        pump();
      };
      return;
    }
    socket.cork();
    socket.write(`a${++tag} APPEND INBOX`);
    for (const mail of mails) {
      socket.write(` ${internalDate(mail)}{${mail.length}+}\r\n`);
      socket.write(mail);
    }
    socket.write('\r\n');
    socket.uncork();
  }
}

// POP3 side
let askForMore: () => void = () => {};

function readPop3(port: number): void {
  const pop3 = connect({ port, host: '127.0.0.1', noDelay: true });
  pop3.on('error', error => fail(String(error)));
  let sizes: number[] = [];
  let asked = 0;
  let awaited = 0;
  let awaitedOctets = 0;
  let phase: 'login' | 'list' | 'mail' = 'login';
  let answersToLogin = 0;
  // Octets received: [start, end) of a slab; messages are cut out of it without a copy, a full one is left to them.
  let slab = Buffer.allocUnsafe(1 << 20);
  let start = 0;
  let end = 0;
  let searched = 0;

  const keep = (chunk: Buffer): void => {
    if (end + chunk.length > slab.length) {
      const next = Buffer.allocUnsafe(Math.max(1 << 20, 2 * (end - start + chunk.length)));
      slab.copy(next, 0, start, end);
      slab = next;
      searched -= start;
      end -= start;
      start = 0;
    }
    chunk.copy(slab, end);
    end += chunk.length;
  };
  const take = (): void => {
    while (start < end) {
      const view = slab.subarray(0, end);
      const eol = view.indexOf('\r\n', start);
      if (eol < 0) return;
      if (view[start] !== 0x2b) fail(`pop3 ${view.toString('latin1', start, eol)}`);
      if (phase === 'login') {
        start = eol + 2;
        answersToLogin += 1;
        if (answersToLogin === 2) phase = 'list';
        continue;
      }
      const dot = view.indexOf(END, Math.max(eol, searched - 4));
      searched = end;
      if (dot < 0) return;
      const body = view.subarray(eol + 2, dot + 2);
      start = dot + END.length;
      searched = start;
      if (phase === 'list') {
        sizes = body
          .toString('latin1')
          .split('\r\n')
          .filter(Boolean)
          .map(line => Number(line.split(' ')[1]));
        total = sizes.length;
        phase = 'mail';
        if (options.uidl === true || total === 0) {
          finish();
          return;
        }
      } else {
        awaitedOctets -= sizes[asked - awaited] ?? 0;
        awaited -= 1;
        arrive(unstuff(body));
      }
      askForMore();
    }
  };
  pop3.once('data', () => {
    pop3.write(`USER ${options.from}\r\nPASS ${options.password}\r\n${options.uidl === true ? 'UIDL' : 'LIST'}\r\n`);
    pop3.on('data', chunk => {
      keep(chunk);
      take();
    });
  });

  askForMore = () => {
    if (phase !== 'mail') return;
    let commands = '';
    while (asked < total && awaited < options.window && unacknowledged + awaitedOctets < READ_AHEAD) {
      awaitedOctets += sizes[asked] ?? 0;
      asked += 1;
      awaited += 1;
      commands += `RETR ${asked}\r\n`;
    }
    if (commands !== '') pop3.write(commands);
  };
  closePop3 = () => void pop3.end('QUIT\r\n');
}

/** Drops the dot that stands before a line's own dot. */
function unstuff(body: Buffer): Buffer {
  const parts: Buffer[] = [];
  let from = body[0] === 0x2e ? 1 : 0;
  if (from === 0 && !body.includes('\r\n..')) return body;
  for (let at = body.indexOf('\r\n..'); at >= 0; at = body.indexOf('\r\n..', from)) {
    parts.push(body.subarray(from, at + 2));
    from = at + 3;
  }
  parts.push(body.subarray(from));
  return Buffer.concat(parts);
}

// mbox side: all of it in memory, since a limit may
function readMbox(path: string): void {
  const file = readFileSync(path);
  const mails: Buffer[] = [];
  for (let at = 0; at < file.length; ) {
    const body = file.indexOf('\n', at) + 1;
    const next = file.indexOf('\n\nFrom ', body - 1);
    const end = next < 0 ? file.length - 1 : next + 1;
    const text = file.toString('latin1', body, end);
    mails.push(Buffer.from(text.replace(/^>(>*From )/gm, '$1').replaceAll('\n', '\r\n'), 'latin1'));
    at = next < 0 ? file.length : next + 2;
  }
  total = mails.length;
  for (const mail of mails) arrive(mail);
}

let closePop3: () => void = () => {};

function finish(): void {
  const seconds = (performance.now() - started) / 1000;
  console.log(JSON.stringify({ messages: options.uidl === true ? total : stored, octets, seconds }));
  closePop3();
  imap?.end('z LOGOUT\r\n');
  if (imap === null) process.exit(0);
  imap.on('close', () => process.exit(0));
  setTimeout(() => process.exit(0), 500).unref();
}

if (options.uidl !== true) openImap();
if (options.pop3Port !== undefined) readPop3(options.pop3Port);
else if (options.mbox !== undefined) readMbox(options.mbox);
else fail('neither pop3Port nor mbox');
