import { setTimeout as pause } from 'node:timers/promises';
import { FerryError } from '../errors.js';
import { abortReason, within } from '../net/deadline.js';
import type { OAuthClient, Tokens } from './oauth-client.js';

/** RFC 8628 section 3.5: what slow_down adds to the interval. */
const SLOWER_MS = 5000;

/**
 * Login by a code typed in on any other machine (RFC 8628).
 * @throws FerryError LOGIN_REFUSED, TIMEOUT, and those of OAuthClient
 */
export async function loginByDevice(
  client: OAuthClient,
  show: (code: { readonly userCode: string; readonly address: string }) => void,
  signal: AbortSignal,
): Promise<Tokens> {
  const code = await client.deviceCode();
  show(code);
  const late = () => new FerryError('TIMEOUT', 'the code was not entered in time', { hint: 'Start over.' });
  return within(code.expiresIn, signal, late, async inner => {
    for (let interval = code.interval; ; ) {
      await pause(interval, undefined, { signal: inner }).catch(() => {
        throw abortReason(inner);
      });
      const tokens = await code.poll();
      if (tokens === 'slower') interval += SLOWER_MS;
      else if (tokens !== null) return tokens;
    }
  });
}
