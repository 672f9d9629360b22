import { FerryError } from '../../errors.js';
import type { DescribeRequest, StoredMessage, UidRange } from '../destination.js';
import { quoted } from './append-command.js';
import { FetchReader, fetchItems } from './fetch-reader.js';
import type { ResponseHandler } from './response-parser.js';
import type { ImapSession } from './session.js';
import { copyUidOf, parseStatus, refusedWork, type StatusResponse, wordsOf, workRefusalOf } from './status-response.js';
import { uidSets } from './uid-set.js';

/** A mailbox as SELECT or EXAMINE shows it. */
export interface Selected {
  readonly uidValidity: number;
  /** null: the server did not say. */
  readonly uidNext: number | null;
  readonly messages: number;
}

/** Opens a mailbox anew, so that everything committed until now is seen; NOOP for servers that lag behind. */
export async function select(
  session: ImapSession,
  mailbox: string,
  how: 'SELECT' | 'EXAMINE',
  signal: AbortSignal,
): Promise<Selected> {
  const found = new SelectReader();
  await Promise.all([must(session, `${how} ${quoted(mailbox)}`, signal, found), must(session, 'NOOP', signal, found)]);
  if (found.uidValidity === null) {
    throw new FerryError('PROTOCOL_VIOLATION', 'the server opened a mailbox without UIDVALIDITY', { side: 'to' });
  }
  return { uidValidity: found.uidValidity, uidNext: found.uidNext, messages: found.messages };
}

/** Has no mailbox open any more, and purges nothing: after EXAMINE a CLOSE removes no message (RFC 3501). */
export async function leave(session: ImapSession, mailbox: string, signal: AbortSignal): Promise<void> {
  const commands = [`EXAMINE ${quoted(mailbox)}\r\n`, 'CLOSE\r\n'];
  await Promise.all(commands.map(command => session.run([command], { signal })));
}

class SelectReader implements ResponseHandler {
  uidValidity: number | null = null;
  uidNext: number | null = null;
  messages = 0;

  literalStart(): void {}
  literalData(): void {}
  response(text: string): void {
    const exists = /^\* (\d{1,10}) EXISTS$/i.exec(text)?.[1];
    if (exists !== undefined) this.messages = Number(exists);
    const status = parseStatus(text.slice(2));
    if (status === null || !/^\d{1,10}$/.test(status.argument)) return;
    if (status.code === 'UIDVALIDITY') this.uidValidity = Number(status.argument);
    if (status.code === 'UIDNEXT') this.uidNext = Number(status.argument);
  }
}

/** Messages described and not taken yet; beyond it reading pauses. */
const DESCRIBED_AHEAD = 500;

/** UID FETCH in the selected mailbox, as fast as the consumer takes them. Left early, the session is given up. */
export async function* describeSelected(
  session: ImapSession,
  uids: UidRange | readonly number[],
  request: DescribeRequest,
  signal: AbortSignal,
): AsyncGenerator<StoredMessage> {
  for (const set of setsOf(uids)) yield* fetchSet(session, set, uids, request, signal);
}

function setsOf(uids: UidRange | readonly number[]): readonly string[] {
  if (!('firstUid' in uids)) return uidSets(uids);
  const { firstUid, endUid } = uids;
  if (endUid <= firstUid) return [];
  return [`${Math.max(1, firstUid)}:${Number.isFinite(endUid) ? endUid - 1 : '*'}`];
}

async function* fetchSet(
  session: ImapSession,
  set: string,
  uids: UidRange | readonly number[],
  request: DescribeRequest,
  signal: AbortSignal,
): AsyncGenerator<StoredMessage> {
  // "n:*" names the last message even where its UID is below n; and servers may speak of messages nobody asked about.
  const wanted = 'firstUid' in uids ? null : new Set(uids);
  const isWanted = (uid: number) =>
    'firstUid' in uids ? uid >= uids.firstUid && uid < uids.endUid : wanted?.has(uid) === true;
  const described: StoredMessage[] = [];
  let over = false;
  let wake: () => void = () => undefined;
  const reader = new FetchReader(request, message => {
    if (!isWanted(message.uid)) return;
    described.push(message);
    if (described.length >= DESCRIBED_AHEAD) session.pause();
    wake();
  });
  const command = `UID FETCH ${set} ${fetchItems(request)}`;
  const fetch = must(session, command, signal, reader, () => reader.arrived).finally(() => {
    over = true;
    wake();
  });
  fetch.catch(() => undefined);
  try {
    for (;;) {
      yield* described.splice(0);
      session.resume();
      if (over && described.length === 0) break;
      if (described.length === 0) {
        await new Promise<void>(resolve => {
          wake = resolve;
          if (over) resolve();
        });
      }
    }
    await fetch;
  } finally {
    if (!over) session.destroy(new FerryError('INTERRUPTED', 'the look into the mailbox was given up', { side: 'to' }));
  }
}

/**
 * UID MOVE (RFC 6851) out of the selected mailbox into others, all under way together. Repeated after a lost answer it
 * moves what is still there.
 * @param moves targets as wire names
 */
export async function moveSelected(
  session: ImapSession,
  moves: readonly { readonly uids: readonly number[]; readonly target: string }[],
  signal: AbortSignal,
): Promise<ReadonlyMap<number, number>> {
  const moved = new Map<number, number>();
  // Dovecot sends the COPYUIDs of all MOVEs before the first of their answers, so any reader may meet any of them.
  const atOnce = moves.reduce((sum, { uids }) => sum + uids.length, 0);
  const each = moves.map(async ({ uids, target }) => {
    const note = (status: StatusResponse | null) => {
      if (status === null) return;
      for (const [from, to] of copyUidOf(status, atOnce)) moved.set(from, to);
    };
    const reader: ResponseHandler = {
      literalStart: () => undefined,
      literalData: () => undefined,
      response: text => note(parseStatus(text.slice(2))),
    };
    const commands = uidSets(uids).map(set => must(session, `UID MOVE ${set} ${quoted(target)}`, signal, reader));
    for (const done of await Promise.all(commands)) note(done);
  });
  await Promise.all(each);
  return moved;
}

/** \Deleted and UID EXPUNGE (RFC 4315): exactly these, never what somebody else marked. */
export async function expungeSelected(
  session: ImapSession,
  uids: readonly number[],
  signal: AbortSignal,
): Promise<void> {
  for (const set of uidSets(uids)) {
    await must(session, `UID STORE ${set} +FLAGS.SILENT (\\Deleted)`, signal);
    await must(session, `UID EXPUNGE ${set}`, signal);
  }
}

const LOOK_AGAIN_MS = 500;

const IGNORED: ResponseHandler = { literalStart() {}, literalData() {}, response() {} };

/** @throws FerryError for NO and BAD (MAILBOX_REFUSED where nothing better is known) and for a lost connection. */
export async function must(
  session: ImapSession,
  command: string,
  signal: AbortSignal,
  untagged: ResponseHandler = IGNORED,
  progress?: () => number,
): Promise<StatusResponse> {
  const options = { signal, untagged, ...(progress === undefined ? {} : { progress }) };
  const result = await session.run([`${command}\r\n`], options);
  if (result.kind === 'lost') throw result.error;
  const { response } = result;
  if (response.status === 'OK') return response;
  const verb = /^(?:UID )?\S+/.exec(command)?.[0] ?? '';
  const refusal = workRefusalOf(response);
  if (refusal !== null) throw refusedWork(refusal, response, verb);
  const words = wordsOf(response);
  throw new FerryError('MAILBOX_REFUSED', `${verb}: the server said ${words}`, {
    side: 'to',
    serverText: words,
    // Gone meanwhile (RFC 5530), as where a frozen session goes on and moves them after all: looked at again.
    ...(response.code === 'EXPUNGEISSUED' ? { retryAfter: LOOK_AGAIN_MS } : {}),
  });
}
