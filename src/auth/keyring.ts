import type { Entry } from '@napi-rs/keyring';
import { FerryError, printable } from '../errors.js';

/** Under which name entries of this program stand in the keyring of the operating system. */
const SERVICE = 'mailferry';
/** An entry that never is. */
const NOBODYS = 'nobody';

/**
 * An entry of the keyring of the operating system: Keychain, Credential Manager, Secret Service, or where there is none
 * of these the keyring of the Linux kernel, which forgets at reboot.
 * @returns null where there is no such entry
 * @throws FerryError SECRET_UNAVAILABLE where there is no keyring
 */
export function readKeyring(name: string): Promise<string | null> {
  return withEntry(name, 'read', entry => entry.getPassword());
}

/** @throws FerryError SECRET_UNAVAILABLE */
export function writeKeyring(name: string, secret: string): Promise<void> {
  return withEntry(name, 'keep', entry => entry.setPassword(secret));
}

/** @returns whether there was such an entry. @throws FerryError SECRET_UNAVAILABLE */
export function removeFromKeyring(name: string): Promise<boolean> {
  return withEntry(name, 'remove', entry => entry.deleteCredential());
}

async function withEntry<T>(name: string, verb: string, work: (entry: Entry) => T): Promise<T> {
  // A native module that some systems lack: only those who use it need it. Its asynchronous form works in threads that
  // each see another keyring of the kernel.
  const { Entry } = await import('@napi-rs/keyring').catch((cause: unknown) => {
    throw unavailable('the keyring module is not installed on this system', cause);
  });
  try {
    // The first touch of the kernel's keyring makes one in a session that has none; it fails, or finds nothing.
    new Entry(SERVICE, NOBODYS).getPassword();
  } catch {}
  try {
    return work(new Entry(SERVICE, name));
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw unavailable(
      `the keyring of this system would not ${verb} "${printable(name)}": ${printable(text, 200)}`,
      cause,
    );
  }
}

function unavailable(text: string, cause: unknown): FerryError {
  return new FerryError('SECRET_UNAVAILABLE', text, {
    cause,
    hint: 'Unlock the keyring, or keep the secret elsewhere (env, file, command).',
  });
}
