import type { Security } from '../net/endpoint.js';

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly security: Security;
}

/** A mail provider whose servers are known. */
export interface Provider {
  readonly name: string;
  readonly domains: readonly string[];
  /** Ends of the names of its mail exchangers, by which domains of its customers are told. */
  readonly exchangers: readonly string[];
  /** null: it offers none. */
  readonly pop3: ServerAddress | null;
  readonly imap: ServerAddress;
  /** What a person has to do there first. */
  readonly notes: readonly string[];
  /** What of it concerns its POP3 only. */
  readonly pop3Notes?: readonly string[];
  /** It takes no passwords: oauth.provider to use. */
  readonly oauth?: 'microsoft' | 'google';
}

const tls = (host: string, port: number): ServerAddress => ({ host, port, security: 'tls' });
const pop3 = (host: string) => tls(host, 995);
const imap = (host: string) => tls(host, 993);

const APP_PASSWORD = 'It takes an app password, made in the security settings of the account, not the usual one.';
const SWITCH_ON = 'POP3 and IMAP have to be switched on in its settings first.';

export const PROVIDERS: readonly Provider[] = [
  {
    name: 'Gmail',
    domains: ['gmail.com', 'googlemail.com'],
    exchangers: ['google.com', 'googlemail.com'],
    pop3: pop3('pop.gmail.com'),
    imap: imap('imap.gmail.com'),
    notes: [`${APP_PASSWORD} See docs/gmail.md.`],
    pop3Notes: ['POP3 has to be switched on in its settings first.'],
  },
  {
    name: 'Microsoft 365',
    domains: [
      'outlook.com',
      'outlook.de',
      'outlook.fr',
      'hotmail.com',
      'hotmail.co.uk',
      'hotmail.de',
      'hotmail.fr',
      'live.com',
      'msn.com',
      'passport.com',
    ],
    exchangers: ['mail.protection.outlook.com', 'olc.protection.outlook.com', 'mx.microsoft'],
    pop3: pop3('outlook.office365.com'),
    imap: imap('outlook.office365.com'),
    notes: ['It takes no passwords, only OAuth2: register a client id, see docs/microsoft-365.md.', SWITCH_ON],
    oauth: 'microsoft',
  },
  {
    name: 'Yahoo',
    domains: [
      'yahoo.com',
      'yahoo.de',
      'yahoo.fr',
      'yahoo.it',
      'yahoo.es',
      'yahoo.co.uk',
      'yahoo.co.in',
      'yahoo.ca',
      'yahoo.com.br',
      'ymail.com',
      'rocketmail.com',
    ],
    exchangers: ['yahoodns.net'],
    pop3: pop3('pop.mail.yahoo.com'),
    imap: imap('imap.mail.yahoo.com'),
    notes: [APP_PASSWORD],
  },
  {
    name: 'AOL',
    domains: ['aol.com', 'aim.com', 'aol.de'],
    exchangers: [],
    pop3: pop3('pop.aol.com'),
    imap: imap('imap.aol.com'),
    notes: [APP_PASSWORD],
  },
  {
    name: 'iCloud',
    domains: ['icloud.com', 'me.com', 'mac.com'],
    exchangers: ['mail.icloud.com'],
    pop3: null,
    imap: imap('imap.mail.me.com'),
    notes: [APP_PASSWORD],
  },
  {
    name: 'Fastmail',
    domains: ['fastmail.com', 'fastmail.fm', 'fastmail.net', 'messagingengine.com'],
    exchangers: ['messagingengine.com'],
    pop3: pop3('pop.fastmail.com'),
    imap: imap('imap.fastmail.com'),
    notes: [APP_PASSWORD],
  },
  {
    name: 'GMX',
    domains: ['gmx.de', 'gmx.net', 'gmx.at', 'gmx.ch'],
    exchangers: ['emig.gmx.net'],
    pop3: pop3('pop.gmx.net'),
    imap: imap('imap.gmx.net'),
    notes: [SWITCH_ON],
  },
  {
    name: 'GMX',
    domains: ['gmx.com', 'gmx.us', 'gmx.co.uk', 'gmx.fr'],
    exchangers: [],
    pop3: pop3('pop.gmx.com'),
    imap: imap('imap.gmx.com'),
    notes: [SWITCH_ON],
  },
  {
    name: 'WEB.DE',
    domains: ['web.de'],
    exchangers: [],
    pop3: pop3('pop3.web.de'),
    imap: imap('imap.web.de'),
    notes: [SWITCH_ON],
  },
  {
    name: 'T-Online',
    domains: ['t-online.de', 'magenta.de'],
    exchangers: [],
    pop3: pop3('securepop.t-online.de'),
    imap: imap('secureimap.t-online.de'),
    notes: ['It takes the e-mail password, set in its customer centre, not the one of the website.'],
  },
  {
    name: 'mailbox.org',
    domains: ['mailbox.org'],
    exchangers: ['mailbox.org'],
    pop3: pop3('pop3.mailbox.org'),
    imap: imap('imap.mailbox.org'),
    notes: [],
  },
  {
    name: 'Posteo',
    domains: ['posteo.de', 'posteo.net', 'posteo.org', 'posteo.eu'],
    exchangers: [],
    pop3: pop3('posteo.de'),
    imap: imap('posteo.de'),
    notes: [],
  },
  {
    name: 'Yandex',
    domains: ['yandex.com', 'yandex.ru', 'ya.ru'],
    exchangers: ['mx.yandex.net'],
    pop3: pop3('pop.yandex.com'),
    imap: imap('imap.yandex.com'),
    notes: [APP_PASSWORD, SWITCH_ON],
  },
];

/** The provider of a domain of its own, not of a customer's. */
export function providerOfDomain(domain: string): Provider | null {
  return PROVIDERS.find(({ domains }) => domains.includes(domain)) ?? null;
}

/** The provider one of whose machines takes the mail of a domain. */
export function providerOfExchanger(exchanger: string): Provider | null {
  const name = exchanger.toLowerCase().replace(/\.$/, '');
  return PROVIDERS.find(({ exchangers }) => exchangers.some(end => name === end || name.endsWith(`.${end}`))) ?? null;
}
