import { PassThrough, Writable } from 'node:stream';
import { createDeflateRaw, createInflateRaw } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { bodyOf } from '../../../src/body/body-store.js';
import { appendCommand, type LiteralMode } from '../../../src/destination/imap/append-command.js';
import { type CommandResult, ImapSession } from '../../../src/destination/imap/session.js';

const signal = new AbortController().signal;
const timeouts = { connect: 1000, command: 60_000, idle: 20_000 };

/** A session whose server is the test: `sent` is what it wrote, `say` what it reads. */
class Dialogue {
  sent = '';
  /** Under the compressor. */
  readonly socket = new PassThrough();
  readonly #server = new PassThrough();
  readonly session: ImapSession;
  readonly log: string[] = [];

  constructor() {
    const writeSocket = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.sent += chunk.toString('latin1');
        done();
      },
    });
    const socket = Object.assign(this.socket, { setTimeout: () => undefined });
    const options = { timeouts, log: (line: string) => this.log.push(line) };
    this.session = new ImapSession({ readSocket: this.#server, writeSocket, socket }, options);
  }

  /** "%n" is the tag of the n-th command. */
  async say(text: string): Promise<void> {
    this.#server.write(
      text.replace(/%(\d)/g, (_, n: string) => this.tag(Number(n))),
      'latin1',
    );
    await settled();
  }

  tag(n: number): string {
    return `${/m[0-9a-f]{8}/.exec(this.sent)?.[0] ?? ''}${n}`;
  }

  /** What was sent since the last call, tags as %n. */
  take(): string {
    const text = this.sent.replaceAll(/m[0-9a-f]{8}(\d+) /g, '%$1 ');
    const fresh = text.slice(this.#taken);
    this.#taken = text.length;
    return fresh;
  }
  #taken = 0;

  append(octets: string, mode: LiteralMode): Promise<CommandResult> {
    const item = { body: bodyOf(Buffer.from(octets)), flags: [], internalDate: null };
    return this.session.run(appendCommand('x', [item], mode), { signal });
  }
}

async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise(resolve => setImmediate(resolve));
}

describe('a session', () => {
  it('asks to send the next message before the one ahead is answered: one round trip a message', async () => {
    const dialogue = new Dialogue();
    const answers = ['a', 'b', 'c'].map(octets => dialogue.append(octets, 'synchronising'));
    await settled();
    expect(dialogue.take()).toBe('%1 APPEND "x" {1}\r\n');
    await dialogue.say('+ go\r\n');
    expect(dialogue.take()).toBe('a\r\n%2 APPEND "x" {1}\r\n');
    await dialogue.say('%1 OK done\r\n+ go\r\n');
    expect(dialogue.take()).toBe('b\r\n%3 APPEND "x" {1}\r\n');
    await dialogue.say('%2 OK done\r\n%3 NO not this one\r\n');
    expect(dialogue.take()).toBe('');
    expect((await Promise.all(answers)).map(answer => answer.kind === 'answered' && answer.response.status)).toEqual([
      'OK',
      'OK',
      'NO',
    ]);
    expect(dialogue.session.alive).toBe(true);
  });

  it('sends everything at once where literals need no asking', async () => {
    const dialogue = new Dialogue();
    const answers = ['a', 'b', 'c'].map(octets => dialogue.append(octets, 'plus'));
    await settled();
    expect(dialogue.take()).toBe('%1 APPEND "x" {1+}\r\na\r\n%2 APPEND "x" {1+}\r\nb\r\n%3 APPEND "x" {1+}\r\nc\r\n');
    await dialogue.say('%2 OK done\r\n%1 NO no\r\n%3 OK done\r\n');
    expect((await Promise.all(answers)).map(answer => answer.kind === 'answered' && answer.response.status)).toEqual([
      'NO',
      'OK',
      'OK',
    ]);
  });

  it('keeps an early NO to itself until the literal it announced is sent', async () => {
    const dialogue = new Dialogue();
    const answer = dialogue.append('x'.repeat(2_000_000), 'plus');
    await settled();
    await dialogue.say('%1 NO [TOOBIG] no\r\n');
    expect(await answer).toMatchObject({ kind: 'answered', response: { code: 'TOOBIG' } });
    expect(dialogue.sent).toHaveLength(2_000_000 + '%1 APPEND "x" {2000000+}\r\n'.length + dialogue.tag(1).length);
  });

  it('does not lose count of stray requests to go on', async () => {
    const dialogue = new Dialogue();
    await dialogue.say('+ idle talk\r\n');
    expect(dialogue.session.alive).toBe(true);
    await dialogue.say('+ idle talk\r\n');
    expect(dialogue.session.alive).toBe(false);
  });

  it('ends with the socket under a compressor, which says nothing itself', async () => {
    const dialogue = new Dialogue();
    const answer = dialogue.append('a', 'plus');
    await settled();
    dialogue.socket.destroy(new Error('ECONNRESET'));
    expect(await answer).toMatchObject({ kind: 'lost', error: { code: 'CONNECTION_LOST' } });
  });

  it('writes into a compressor no faster than it compresses, and lets nothing lie in it', async () => {
    const compressor = createDeflateRaw();
    const server = compressor.pipe(createInflateRaw());
    const socket = Object.assign(new PassThrough(), { setTimeout: () => undefined });
    const session = new ImapSession(
      { readSocket: socket, writeSocket: compressor, socket },
      { timeouts, log: () => {} },
    );
    // As a spooled body gives its octets: through buffers that are used again.
    const buffers = [0, 1, 2].map(() => Buffer.alloc(256 * 1024));
    const body = {
      length: 20 * 256 * 1024,
      *chunks() {
        for (let i = 0; i < 20; i++) {
          expect(compressor.writableLength).toBeLessThanOrEqual(256 * 1024 + 100);
          yield buffers[i % 3]?.fill(65 + i) ?? Buffer.alloc(0);
        }
      },
      dispose: () => {},
    };
    let received = '';
    const answer = session.run(appendCommand('x', [{ body, flags: [], internalDate: null }], 'plus'), { signal });
    for await (const chunk of server.setEncoding('latin1')) {
      received += String(chunk);
      if (received.length >= body.length && received.endsWith('\r\n')) break;
    }
    const sent = Array.from({ length: 20 }, (_, i) => String.fromCharCode(65 + i).repeat(256 * 1024)).join('');
    expect(received.slice(received.indexOf('\r\n') + 2) === `${sent}\r\n`).toBe(true);
    socket.write(`${received.slice(0, received.indexOf(' '))} OK done\r\n`);
    expect(await answer).toMatchObject({ kind: 'answered' });
  });

  it('hands over nothing of a command that was cancelled or aborted before it began', async () => {
    const dialogue = new Dialogue();
    const controller = new AbortController();
    const first = dialogue.append('a', 'synchronising');
    const cancelled = dialogue.session.run(['B\r\n'], { signal, cancelled: () => true });
    const aborted = dialogue.session.run(['C\r\n'], { signal: controller.signal });
    await settled();
    controller.abort();
    await dialogue.say('+ go\r\n');
    await dialogue.say('%1 OK done\r\n');
    expect(await Promise.all([first, cancelled, aborted])).toMatchObject([
      { kind: 'answered' },
      { kind: 'lost', literalsHandedOver: 0 },
      { kind: 'lost', literalsHandedOver: 0, error: { code: 'INTERRUPTED' } },
    ]);
    expect(dialogue.take()).toBe('%1 APPEND "x" {1}\r\na\r\n');
  });
});

describe('time', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('lost by asking ahead is noticed, and asking ahead given up', async () => {
    const dialogue = new Dialogue();
    const answers = ['a', 'b', 'c'].map(octets => dialogue.append(octets, 'synchronising'));
    await settled();
    vi.advanceTimersByTime(1);
    await dialogue.say('+ go\r\n');
    await dialogue.say('%1 OK done\r\n');
    vi.advanceTimersByTime(40);
    await dialogue.say('+ go\r\n');
    expect(dialogue.take()).toBe('%1 APPEND "x" {1}\r\na\r\n%2 APPEND "x" {1}\r\nb\r\n');
    await dialogue.say('%2 OK done\r\n');
    expect(dialogue.take()).toBe('%3 APPEND "x" {1}\r\n');
    await dialogue.say('+ go\r\n');
    await dialogue.say('%3 OK done\r\n');
    expect((await Promise.all(answers)).map(({ kind }) => kind)).toEqual(['answered', 'answered', 'answered']);
  });

  it('in which we do not read is not the silence of the server', async () => {
    const dialogue = new Dialogue();
    const untagged = { literalStart() {}, literalData() {}, response() {} };
    const answer = dialogue.session.run(['UID FETCH 1:* (UID)\r\n'], { signal, untagged });
    await settled();
    dialogue.session.pause();
    vi.advanceTimersByTime(10 * timeouts.command);
    expect(dialogue.session.alive).toBe(true);
    dialogue.session.resume();
    await dialogue.say('%1 OK done\r\n');
    expect(await answer).toMatchObject({ kind: 'answered' });
  });

  it('without an answer runs out, and only while one is owed', async () => {
    const dialogue = new Dialogue();
    vi.advanceTimersByTime(10 * timeouts.command);
    expect(dialogue.session.alive).toBe(true);
    const answer = dialogue.append('a', 'plus');
    await settled();
    vi.advanceTimersByTime(timeouts.idle + 20);
    expect(await answer).toMatchObject({ kind: 'lost', literalsHandedOver: 1, error: { code: 'TIMEOUT' } });
  });

  it.each([
    ['what nobody asked for does not stretch it', undefined, 'lost'],
    ['a long reply that grows does', () => performance.now(), 'answered'],
  ])('of a command: %s', async (_name, progress, kind) => {
    const dialogue = new Dialogue();
    const options = { signal, ...(progress === undefined ? {} : { progress }) };
    const answer = dialogue.session.run(['UID FETCH 1:* (UID)\r\n'], options);
    await settled();
    const flood = '* OK still at it\r\n'.repeat(70_000);
    for (let seconds = 0; seconds < 90; seconds += 15) {
      vi.advanceTimersByTime(15_000);
      await dialogue.say(flood);
    }
    await dialogue.say('%1 OK done\r\n');
    expect(await answer).toMatchObject({ kind });
  });
});
