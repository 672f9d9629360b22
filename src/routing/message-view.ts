import type { DecodedHeader } from '../message/decoded.js';
import type { MessageFacts } from '../message/facts.js';
import type { SpecialUse } from '../message/folder.js';

/** A label that asks for a copy of the message in a folder of its own. */
export interface LabelTarget {
  /** Levels of the label, as the user named them. */
  readonly levels: readonly string[];
  /** Set where the label is one of the mail system's own (Sent). */
  readonly special?: SpecialUse;
}

/** A mailing list by its List-Id (RFC 2919), or by what older lists write. */
export interface MailingList {
  /** Short name: the first label of the id. */
  readonly name: string;
  /** The whole id, lower case. */
  readonly id: string;
}

/** One message as rules and templates see it; decoded on demand, for one label at a time. */
export class MessageView {
  readonly account: string;
  readonly source: string;
  readonly facts: MessageFacts;
  readonly size: number;
  /** Labels that `label` conditions look at. */
  readonly labels: readonly string[];
  /** The label this copy is for; null: none. */
  readonly target: LabelTarget | null;
  readonly header: DecodedHeader;
  #list: MailingList | null | undefined;

  constructor(
    account: string,
    source: string,
    facts: MessageFacts,
    size: number,
    labels: readonly string[],
    target: LabelTarget | null,
    header: DecodedHeader,
  ) {
    this.account = account;
    this.source = source;
    this.facts = facts;
    this.size = size;
    this.labels = labels;
    this.target = target;
    this.header = header;
  }

  get list(): MailingList | null {
    if (this.#list === undefined) this.#list = mailingList(this.header);
    return this.#list;
  }
}

function mailingList(header: DecodedHeader): MailingList | null {
  const id = listId(header.texts('list-id')[0] ?? '') || addressAsId(header);
  if (id === '') return null;
  const dot = id.indexOf('.');
  return { name: dot <= 0 ? id : id.slice(0, dot), id };
}

/** The id is what stands in the last angle brackets; text before them is a description. */
function listId(value: string): string {
  const open = value.lastIndexOf('<');
  const close = value.indexOf('>', open);
  const id = open === -1 ? value : value.slice(open + 1, close === -1 ? undefined : close);
  return id.trim().toLowerCase();
}

/** Lists from before List-Id: their address with a dot for the @, which is how list managers form the id. */
function addressAsId(header: DecodedHeader): string {
  const post = /<mailto:([^>?\s]+)/i.exec(header.texts('list-post')[0]?.slice(0, 1000) ?? '')?.[1];
  const address = post ?? header.addresses('x-mailing-list')[0]?.address ?? header.addresses('x-beenthere')[0]?.address;
  return (address ?? '').toLowerCase().replace('@', '.');
}
