/** What the fake IMAP server keeps: mailboxes and messages in memory, octets exactly as they came. */
export interface FakeMessage {
  readonly uid: number;
  readonly octets: Buffer;
  readonly flags: Set<string>;
  /** As the client wrote it, null without. */
  readonly internalDate: string | null;
}

export class FakeMailbox {
  readonly name: string;
  uidValidity: number;
  uidNext = 1;
  readonly messages: FakeMessage[] = [];
  readonly attributes: string[];
  subscribed = false;

  constructor(name: string, uidValidity: number, attributes: string[] = []) {
    this.name = name;
    this.uidValidity = uidValidity;
    this.attributes = attributes;
  }

  /** Octets of all messages in UID order. */
  get octets(): Buffer[] {
    return this.messages.map(message => message.octets);
  }

  add(message: Omit<FakeMessage, 'uid'>): number {
    const uid = this.uidNext++;
    this.messages.push({ ...message, uid });
    return uid;
  }

  find(set: string): FakeMessage[] {
    return this.messages.filter(({ uid }) => inSet(uid, set, this.uidNext - 1));
  }

  remove(uids: ReadonlySet<number>): number[] {
    const sequence: number[] = [];
    for (let i = this.messages.length - 1; i >= 0; i--) {
      if (!uids.has(this.messages[i]?.uid ?? 0)) continue;
      this.messages.splice(i, 1);
      sequence.push(i + 1);
    }
    return sequence;
  }
}

function inSet(uid: number, set: string, last: number): boolean {
  return set.split(',').some(item => {
    const [a = 0, b = a] = item.split(':').map(n => (n === '*' ? last : Number(n)));
    return uid >= Math.min(a, b) && uid <= Math.max(a, b);
  });
}

/** Ascending UIDs as a uid-set. */
export function uidSet(uids: readonly number[]): string {
  const [first = 0] = uids;
  const last = uids.at(-1) ?? first;
  if (last - first + 1 !== uids.length) return uids.join(',');
  return first === last ? `${first}` : `${first}:${last}`;
}

export class FakeStore {
  readonly mailboxes = new Map<string, FakeMailbox>();
  #uidValidity = 1000;

  constructor(names: readonly string[]) {
    for (const name of names) this.create(name);
  }

  /** INBOX in any case; other names exactly. */
  get(name: string): FakeMailbox | undefined {
    return this.mailboxes.get(name.toUpperCase() === 'INBOX' ? 'INBOX' : name);
  }

  create(name: string, attributes: string[] = []): FakeMailbox {
    const mailbox = new FakeMailbox(name, ++this.#uidValidity, attributes);
    this.mailboxes.set(name, mailbox);
    return mailbox;
  }
}
