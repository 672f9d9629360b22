import { FerryError, printable } from '../errors.js';

/** Under which name entries of this program stand in the keyring of the operating system. */
const SERVICE = 'mailferry';

/**
 * An entry of the keyring of the operating system: Keychain, Credential Manager, Secret Service, or where there is none
 * of these the keyring of the Linux kernel, which forgets at reboot.
 * @returns null where there is no such entry
 * @throws FerryError SECRET_UNAVAILABLE where there is no keyring
 */
export async function readKeyring(name: string): Promise<string | null> {
  const entry = await entryOf(name);
  return attempt(`read "${printable(name)}"`, () => entry.getPassword());
}

/** @throws FerryError SECRET_UNAVAILABLE */
export async function writeKeyring(name: string, secret: string): Promise<void> {
  const entry = await entryOf(name);
  await attempt(`keep "${printable(name)}"`, () => entry.setPassword(secret));
}

/** @returns whether there was such an entry. @throws FerryError SECRET_UNAVAILABLE */
export async function removeFromKeyring(name: string): Promise<boolean> {
  const entry = await entryOf(name);
  return attempt(`remove "${printable(name)}"`, () => entry.deleteCredential());
}

async function entryOf(name: string) {
  // A native module that some systems lack: only those who use it need it.
  const { AsyncEntry } = await import('@napi-rs/keyring').catch((cause: unknown) => {
    throw unavailable('the keyring module is not installed on this system', cause);
  });
  return attempt('use the keyring', async () => new AsyncEntry(SERVICE, name));
}

async function attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch {
    // The first touch of the kernel's keyring fails in a session that has none yet, and makes one.
    try {
      return await work();
    } catch (cause) {
      const text = cause instanceof Error ? cause.message : String(cause);
      throw unavailable(`the keyring of this system would not ${what}: ${printable(text, 200)}`, cause);
    }
  }
}

function unavailable(text: string, cause: unknown): FerryError {
  return new FerryError('SECRET_UNAVAILABLE', text, {
    cause,
    hint: 'Unlock the keyring, or keep the secret elsewhere (env, file, command).',
  });
}
