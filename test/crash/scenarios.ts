/** What is carried between which servers while the command is killed. */
import { GOOD } from '../servers/imap-fake.js';

export interface Scenario {
  readonly name: string;
  readonly messages: readonly Buffer[];
  readonly capabilities: readonly string[];
  /** More keys of the account. */
  readonly account: object;
  readonly pop3: object;
  readonly to: object;
  /** In the destination before the first run. */
  readonly there: readonly { readonly mailbox: string; readonly octets: Buffer }[];
  /** Of `there`, how many are adopted instead of appended again. */
  readonly adopted: number;
  /** The source is empty in the end. */
  readonly removes: boolean;
  /** A moment at which much is under way: where the first blow falls when the recovery is struck as well. */
  readonly midst: RegExp;
}

/** A message of a year, told apart by its name, of about so many octets. */
export function mail(name: string, year: number, octets = 300): Buffer {
  const line = `the line of ${name}, which is as long as lines are\r\n`;
  return Buffer.from(
    `Received: from a.example by b.example; Mon, 7 Jan ${year} 10:00:00 +0100\r\nFrom: a@post.example\r\n` +
      `Subject: ${name}\r\nMessage-ID: <${name}@post.example>\r\n\r\n${line.repeat(Math.ceil(octets / line.length))}`,
  );
}

const twin = mail('twin', 2019);
/** Two of them are equal; two go into another folder. */
const MESSAGES = [
  mail('a', 2019),
  twin,
  mail('b', 2019, 6000),
  mail('c', 2021),
  twin,
  mail('d', 2019),
  mail('e', 2021, 1500),
];
const SINGLE = GOOD.filter(name => name !== 'MULTIAPPEND');
const WITHOUT_UIDPLUS = ['LITERAL+', 'NAMESPACE', 'AUTH=PLAIN'];

function scenario(name: string, more: Partial<Scenario> = {}): Scenario {
  return {
    name,
    messages: MESSAGES,
    capabilities: GOOD,
    account: {},
    pop3: {},
    to: { exactlyOnce: 'off' },
    there: [],
    adopted: 0,
    removes: false,
    midst: /IMAP APPEND done/,
    ...more,
  };
}

export const SCENARIOS: readonly Scenario[] = [
  scenario('MULTIAPPEND'),
  scenario('APPEND one by one', { capabilities: SINGLE }),
  scenario('no UIDPLUS', { capabilities: WITHOUT_UIDPLUS }),
  scenario('synchronising literals', { capabilities: ['UIDPLUS', 'AUTH=PLAIN'], messages: MESSAGES.slice(1, 5) }),
  scenario('staging and MOVE', { to: { exactlyOnce: 'require', profile: 'dovecot' } }),
  scenario('staging and MOVE, one by one', {
    to: { exactlyOnce: 'require', profile: 'dovecot' },
    capabilities: SINGLE,
    messages: MESSAGES.slice(0, 5),
  }),
  scenario('a filled folder', {
    there: [
      { mailbox: 'Archive/2019', octets: mail('somebody', 2019) },
      { mailbox: 'Archive/2019', octets: twin },
      { mailbox: 'Archive/2019', octets: mail('b', 2019, 6000) },
    ],
    adopted: 2,
  }),
  scenario('verify and remove', { pop3: { delete: 'afterVerify' }, removes: true, messages: MESSAGES.slice(0, 5) }),
];
