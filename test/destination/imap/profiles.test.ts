import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PROFILES, recogniseServer, type ServerTraits } from '../../../src/destination/imap/profiles.js';

const unknown: ServerTraits = { host: 'mail.example.org', greeting: '', capabilities: new Set(), idName: '' };

describe('a server', () => {
  it.each<[string, Partial<ServerTraits>]>([
    ['dovecot', { idName: 'Dovecot' }],
    ['dovecot', { greeting: '[CAPABILITY IMAP4rev1] Dovecot (Debian) ready.' }],
    ['cyrus', { greeting: 'host Cyrus IMAP 3.6.1-Debian server ready' }],
    ['courier', { greeting: 'Courier-IMAP ready. Copyright 1998-2021 Double Precision, Inc.' }],
    ['gmail', { capabilities: new Set(['X-GM-EXT-1']) }],
    ['microsoft365', { host: 'outlook.office365.com' }],
    ['microsoft365', { greeting: 'The Microsoft Exchange IMAP4 service is ready.' }],
    ['yahoo', { host: 'imap.mail.yahoo.com' }],
    ['fastmail', { host: 'imap.fastmail.com', greeting: 'Cyrus IMAP ready' }],
    ['icloud', { host: 'imap.mail.me.com' }],
    ['generic', { host: 'notoutlook.com', greeting: 'IMAP ready' }],
  ])('is recognised as %s', (name, traits) => {
    expect(recogniseServer({ ...unknown, ...traits })).toBe(name);
  });

  it('nobody knows is trusted with nothing that was not measured', () => {
    expect(PROFILES.generic).toMatchObject({ trustsMove: false, appendLimit: null });
  });

  it('stands in docs/servers.md with the limits of its profile', () => {
    const page = readFileSync(new URL('../../../docs/servers.md', import.meta.url), 'utf8');
    const rows = page
      .slice(page.indexOf('| profile |'))
      .matchAll(/^\| (\w+) \| (\d+) \| ([^|]+) \| (\w+) \| ([^|]+) \| (\w+) \|/gm);
    const told = [...rows].map(([, name, connections, largest, batch, move, kept]) => [
      name,
      connections,
      largest,
      batch,
      move,
      kept,
    ]);
    const known = Object.values(PROFILES).map(profile => [
      profile.name,
      `${profile.connections}`,
      profile.appendLimit === null ? 'as announced' : `${profile.appendLimit / 1024 / 1024} MiB`,
      profile.name === 'courier' ? 'single' : `${profile.batchMessages}`,
      profile.name === 'courier' ? 'no MOVE' : profile.trustsMove ? 'yes' : 'no',
      profile.caseInNames,
    ]);
    expect(told.toSorted()).toEqual(known.toSorted());
  });

  it('has a profile under its own name', () => {
    expect(Object.entries(PROFILES).filter(([name, profile]) => profile.name !== name)).toEqual([]);
  });
});
