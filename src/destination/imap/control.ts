import type { ImapFlow, ListResponse } from 'imapflow';
import { FerryError, printable } from '../../errors.js';
import { abortReason, duration } from '../../net/deadline.js';
import { where } from '../../net/endpoint.js';
import { bounded, type Connected, type ConnectOptions, connectImap } from './connect.js';
import { encodeModifiedUtf7 } from './modified-utf7.js';
import { onAbort } from './on-abort.js';

/** A mailbox as the control connection opens it. */
export interface OpenedMailbox {
  readonly uidValidity: number;
  readonly uidNext: number;
  readonly messages: number;
  readonly permanentFlags: ReadonlySet<string> | null;
  readonly appendLimit: number | null;
  /** Shown by LIST under the very name it was opened by. */
  readonly listed: boolean;
}

/** A LIST of 15,000 mailboxes with long names has so many. imapflow keeps them all, at twenty times their size. */
const LIST_OCTETS = 1.5 * 1024 * 1024;
const ANSWER_OCTETS = 1024 * 1024;

/** A command of imapflow's; next() lets the one after it go. */
interface Executing {
  exec(command: string, attributes: readonly unknown[]): Promise<{ next(): void }>;
}

/** What servers answer to CREATE of a mailbox that is there, where they know no [ALREADYEXISTS]. */
const EXISTS = /exists/i;

/**
 * The control connection: one imapflow client for everything that concerns mailboxes as such. Opened again by itself
 * where the server closed it for its silence.
 */
export class Control {
  readonly #options: ConnectOptions;
  #connected: Connected | null = null;
  #opening: Promise<Connected> | null = null;
  /** Milliseconds the fastest answer took: no less than a round trip. Infinity: nothing was asked yet. */
  fastest = Number.POSITIVE_INFINITY;

  constructor(options: ConnectOptions) {
    // A megabyte of DEFLATE may be a gigabyte of LIST, and imapflow keeps all of it.
    this.#options = { ...options, compress: false, forMail: false };
  }

  /** Connects where needed. @param loggedIn called as soon as the login of a new connection was taken */
  async connect(signal: AbortSignal, loggedIn?: () => void): Promise<Connected> {
    if (this.#connected?.client.usable) return this.#connected;
    this.#opening ??= connectImap({ ...this.#options, loggedIn }, signal).finally(() => {
      this.#opening = null;
    });
    this.#connected = await this.#opening;
    return this.#connected;
  }

  /** Not `listOnly`: that leaves out the attributes of RFC 6154. */
  list(signal: AbortSignal): Promise<ListResponse[]> {
    return this.#run('LIST', signal, client => client.list());
  }

  /**
   * Whether the server would take a name nobody has, without making it. Where it does not say, it would.
   * @param unicode with prefix and delimiter
   */
  async wouldTake(unicode: string, signal: AbortSignal): Promise<boolean> {
    const name = [{ type: 'STRING', value: encodeModifiedUtf7(unicode) }, [{ type: 'ATOM', value: 'MESSAGES' }]];
    return this.#run('STATUS', signal, async client => {
      try {
        // imapflow's own status() asks for a LIST of the name where it is refused.
        (await (client as unknown as Executing).exec('STATUS', name)).next();
        return true;
      } catch (error) {
        const { responseText } = error as { readonly responseText?: string };
        if (responseText === undefined) throw error;
        return !/not allowed|invalid/i.test(responseText);
      }
    });
  }

  /** CREATE and SUBSCRIBE; false: it was there already. @param unicode with prefix and delimiter */
  async create(unicode: string, signal: AbortSignal): Promise<boolean> {
    try {
      return (await this.#run('CREATE', signal, client => client.mailboxCreate(unicode))).created;
    } catch (error) {
      if (error instanceof FerryError && EXISTS.test(error.serverText ?? '')) return false;
      throw error;
    }
  }

  async subscribe(unicode: string, signal: AbortSignal): Promise<void> {
    await this.#run('SUBSCRIBE', signal, client => client.mailboxSubscribe(unicode));
  }

  async unsubscribe(unicode: string, signal: AbortSignal): Promise<void> {
    await this.#run('UNSUBSCRIBE', signal, client => client.mailboxUnsubscribe(unicode));
  }

  async openMailbox(unicode: string, signal: AbortSignal): Promise<OpenedMailbox> {
    const mailbox = await this.#run('SELECT', signal, client => client.mailboxOpen(unicode));
    // UIDNEXT is missing on old servers; everything appended from now on has some UID above 0.
    return {
      uidValidity: Number(mailbox.uidValidity ?? 0),
      uidNext: mailbox.uidNext || 1,
      messages: mailbox.exists,
      permanentFlags: mailbox.permanentFlags
        ? new Set([...mailbox.permanentFlags].map(flag => flag.toLowerCase()))
        : null,
      appendLimit: mailbox.appendlimit ?? null,
      listed: mailbox.listed === true,
    };
  }

  async delete(unicode: string, signal: AbortSignal): Promise<void> {
    await this.#run('DELETE', signal, client => client.mailboxDelete(unicode));
  }

  /** Octets left in the quota of INBOX, null where there is none. */
  async quotaLeft(signal: AbortSignal): Promise<number | null> {
    const quota = await this.#run('GETQUOTAROOT', signal, client => client.getQuota('INBOX'));
    if (!quota || quota.storage?.limit === undefined || quota.storage.usage === undefined) return null;
    return Math.max(0, quota.storage.limit - quota.storage.usage);
  }

  async close(): Promise<void> {
    const client = this.#connected?.client;
    this.#connected = null;
    if (client?.usable) await client.logout().catch(() => undefined);
    client?.close();
  }

  async #run<T>(what: string, signal: AbortSignal, work: (client: ImapFlow) => Promise<T>): Promise<T> {
    const reused = this.#connected?.client.usable === true;
    const connected = await this.connect(signal);
    try {
      return await this.#work(what, connected, signal, work);
    } catch (error) {
      // The server hung up on a silent connection: every command here may be repeated.
      const lost = error instanceof FerryError && error.code === 'CONNECTION_LOST';
      if (!reused || !lost || signal.aborted) throw error;
      connected.client.close();
      return this.#work(what, await this.connect(signal), signal, work);
    }
  }

  async #work<T>(
    what: string,
    { client, received, broken }: Connected,
    signal: AbortSignal,
    work: (client: ImapFlow) => Promise<T>,
  ): Promise<T> {
    if (signal.aborted) throw abortReason(signal);
    const unwatch = onAbort(signal, () => client.close());
    const asked = performance.now();
    try {
      const result = await bounded(
        { what, octets: what === 'LIST' ? LIST_OCTETS : ANSWER_OCTETS },
        this.#options.endpoint,
        received,
        () => client.close(),
        () => work(client),
      );
      // What imapflow makes of a BYE in the middle of a command.
      if (result === undefined && (!client.usable || client.byeReason !== undefined)) throw this.#lost(client);
      this.fastest = Math.min(this.fastest, performance.now() - asked);
      return result;
    } catch (error) {
      if (signal.aborted) throw abortReason(signal);
      if (error instanceof FerryError) throw error;
      throw broken() ?? this.#failure(what, error, client);
    } finally {
      unwatch();
    }
  }

  #failure(what: string, thrown: unknown, client: ImapFlow): FerryError {
    const error = thrown as Error & {
      readonly code?: string;
      readonly responseStatus?: string;
      readonly responseText?: string;
      readonly serverResponseCode?: string;
    };
    const { endpoint } = this.#options;
    if (error.code === 'ETHROTTLE') {
      return new FerryError('THROTTLED', `${what}: ${where(endpoint)} asks for a pause`, { side: 'to' });
    }
    if (error.responseStatus === 'NO' || error.responseStatus === 'BAD') {
      const code = error.serverResponseCode === undefined ? '' : ` [${error.serverResponseCode}]`;
      const words = printable(`${error.responseStatus}${code} ${error.responseText ?? ''}`.trim());
      return new FerryError('MAILBOX_REFUSED', `${what}: the server said ${words}`, { side: 'to', serverText: words });
    }
    if (error.code === 'ETIMEOUT') {
      const text = `${what}: ${where(endpoint)} did not answer within ${duration(endpoint.timeouts.idle)}`;
      return new FerryError('TIMEOUT', text, { side: 'to' });
    }
    if (client.isClosed || !client.usable || error.code === 'NoConnection') return this.#lost(client);
    return new FerryError('PROTOCOL_VIOLATION', `${what}: ${printable(error.message)}`, { side: 'to' });
  }

  #lost({ byeReason }: ImapFlow): FerryError {
    const why = byeReason === undefined ? '' : `: ${printable(byeReason)}`;
    const text = `${where(this.#options.endpoint)} closed the connection${why}`;
    return new FerryError('CONNECTION_LOST', text, { side: 'to' });
  }
}
