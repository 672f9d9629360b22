/** The kinds of work: names for --scenarios, headings of the page, and what is done, in one line each. */
export const SCENARIOS = {
  scan: { title: 'scan', what: 'Mailbox files are read and cut into messages; no server takes part.' },
  pop3: {
    title: 'POP3 to IMAP',
    what: 'Every message of one POP3 mailbox goes to an empty IMAP account that stores mail as Maildir.',
  },
  accounts: {
    title: 'POP3 to IMAP, 8 accounts',
    what: 'The same messages, dealt out to 8 POP3 mailboxes, go to 8 IMAP accounts: raw clients run side by side, mailferry once. Memory of several processes is added up.',
  },
  sdbox: { title: 'POP3 to IMAP (sdbox)', what: 'The same, to a server that stores mail as sdbox.' },
  'plain-server': {
    title: 'POP3 to IMAP, no MULTIAPPEND, no LITERAL+',
    what: 'To a server that takes one message a command and must invite each one before it is sent.',
  },
  again: {
    title: 'second run',
    what: 'The same run once more when all has been carried already; only that run is timed.',
  },
  start: {
    title: 'second run, empty mailbox',
    what: 'A second run over a mailbox that holds nothing: what starting, both logins and ending take by themselves.',
  },
  mbox: { title: 'mbox to IMAP', what: 'Every message of one mbox file goes to an empty IMAP account.' },
  'slow-link': {
    title: 'POP3 to IMAP over 10 Mbit/s',
    what: 'All connections to the destination share a line of 10 Mbit/s each way; with and without COMPRESS=DEFLATE.',
  },
  giant: {
    title: 'one message of 1 GiB',
    what: 'A POP3 mailbox that holds one message goes to an empty IMAP account.',
  },
  scale: { title: 'scale', what: 'POP3 to IMAP as above, with mailboxes of several sizes.' },
} as const;

export type Scenario = keyof typeof SCENARIOS;
