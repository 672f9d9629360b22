import type { RunEvent } from '../../src/run/events.js';
import { account, run } from '../report/samples.js';

export const started = (...accounts: string[]): RunEvent => ({
  type: 'run-started',
  run: 'r20261123-0915-ab',
  dryRun: false,
  accounts,
});

export const accountStarted = (name: string): RunEvent => ({
  type: 'account-started',
  account: name,
  source: `pop3s://${name}@pop.example.org`,
  destination: `imaps://${name}@imap.example.net`,
});

export const listed = (name: string, messages: number, octets: number): RunEvent => ({
  type: 'listed',
  account: name,
  listed: messages,
  messages,
  octets,
  complete: true,
});

export const delivered = (name: string, messages: number, octets: number): RunEvent => ({
  type: 'delivered',
  account: name,
  messages,
  octets,
  mailbox: 'Archive',
  how: 'appended',
});

export const phase = (name: string, value: 'listing' | 'copying' | 'verifying'): RunEvent => ({
  type: 'phase',
  account: name,
  phase: value,
});

export const accountEnded = (name: string, messages: number): RunEvent => ({
  type: 'account-ended',
  account: name,
  result: account({ name, listed: messages, copied: messages }),
});

export const ended: RunEvent = { type: 'run-ended', result: run([]) };
