import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { currentUser, exposure } from '../config/permissions.js';
import { FerryError, printable, type Side } from '../errors.js';
import { hide } from '../redaction.js';
import { readKeyring, removeFromKeyring, writeKeyring } from './keyring.js';
import type { Tokens } from './oauth-client.js';

/** What a login belongs to: tokens of another one are not used. */
export interface LoginIdentity {
  readonly account: string;
  readonly side: Side;
  readonly provider: string;
  readonly clientId: string;
  readonly user: string;
}

/** Keeps the tokens of one side of one account. */
export interface TokenStore {
  /** For people: where the tokens are. */
  readonly place: string;
  /** null: nobody logged in, or for another provider, client id or user. @throws FerryError SECRET_UNAVAILABLE, SECRET_EXPOSED */
  read(): Promise<Tokens | null>;
  /** Once this resolves the tokens survive a crash. @throws FerryError STATE_UNWRITABLE, SECRET_UNAVAILABLE */
  write(tokens: Tokens): Promise<void>;
  /** @returns whether there were any */
  remove(): Promise<boolean>;
}

/** Names are digests: account names never become part of a path. */
function digestOf({ account, side }: LoginIdentity): string {
  return createHash('sha256').update(`${account}\0${side}`).digest('hex').slice(0, 32);
}

/** @param state path of the state file; the tokens go beside it */
export function fileTokenStore(state: string, identity: LoginIdentity): TokenStore {
  const path = join(dirname(state), `${basename(state)}.token-${digestOf(identity)}`);
  return {
    place: path,
    read: async () => parse(await readPrivate(path, identity.side), identity),
    write: tokens => writePrivate(path, serialise(tokens, identity)),
    remove: async () => {
      try {
        await rm(path);
        return true;
      } catch (cause) {
        if (codeOf(cause) === 'ENOENT') return false;
        throw unwritable(path, cause);
      }
    },
  };
}

export function keyringTokenStore(identity: LoginIdentity): TokenStore {
  const name = `oauth ${digestOf(identity)}`;
  return {
    place: 'the keyring of this system',
    read: async () => parse(await readKeyring(name), identity),
    write: tokens => writeKeyring(name, serialise(tokens, identity)),
    remove: () => removeFromKeyring(name),
  };
}

function serialise(tokens: Tokens, identity: LoginIdentity): string {
  return JSON.stringify({ version: 1, ...identity, tokens });
}

/** What cannot be understood is as good as nothing: the next login replaces it. */
function parse(text: string | null, identity: LoginIdentity): Tokens | null {
  if (text === null) return null;
  const kept = jsonObject(text);
  const tokens = kept === null ? null : kept.get('tokens');
  if (kept === null || typeof tokens !== 'object' || tokens === null) return null;
  const same = Object.entries(identity).every(([name, value]) => kept.get(name) === value);
  const { access, refresh, expiresAt, renewAt } = tokens as Record<keyof Tokens, unknown>;
  if (!same || typeof access !== 'string' || (typeof refresh !== 'string' && refresh !== null)) return null;
  hide(access);
  if (refresh !== null) hide(refresh);
  return { access, refresh, expiresAt: timeOrNull(expiresAt), renewAt: timeOrNull(renewAt) };
}

function jsonObject(text: string): Map<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : null;
  } catch {
    return null;
  }
}

function timeOrNull(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

const MAX_OCTETS = 256 * 1024;

async function readPrivate(path: string, side: Side): Promise<string | null> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const facts = await file.stat();
    const exposed = exposure(path, facts, currentUser());
    if (exposed !== undefined) {
      throw new FerryError('SECRET_EXPOSED', `token file ${printable(path)}: ${exposed}`, { side });
    }
    if (!facts.isFile() || facts.size > MAX_OCTETS) return null;
    return await file.readFile('utf8');
  } catch (cause) {
    if (cause instanceof FerryError) throw cause;
    if (codeOf(cause) === 'ENOENT') return null;
    throw new FerryError('SECRET_UNAVAILABLE', `token file ${printable(path)}: ${codeOf(cause)}`, { side, cause });
  } finally {
    await file?.close();
  }
}

/** Whole or not at all, whatever happens in between; never readable for others, not even for a moment. */
async function writePrivate(path: string, text: string): Promise<void> {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw unwritable(path, cause);
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function unwritable(path: string, cause: unknown): FerryError {
  return new FerryError('STATE_UNWRITABLE', `cannot write the token file ${printable(path)}: ${codeOf(cause)}`, {
    cause,
  });
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
}
