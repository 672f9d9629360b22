import type { FlagFacts, SystemFlag } from '../../message/facts.js';

/** The name of a message file, taken apart. */
export interface MaildirName {
  /** The part that stays the same when flags change. */
  readonly base: string;
  /** Flag letters; null: none were ever set. */
  readonly letters: string | null;
}

/** ":" is what Maildir asks for; ";" and "!" stand in its place where a file system forbids it. */
const INFO = /[:;!]2,([^,]*)(?:,.*)?$/;

const SYSTEM: Readonly<Record<string, SystemFlag>> = {
  D: '\\Draft',
  F: '\\Flagged',
  R: '\\Answered',
  S: '\\Seen',
  T: '\\Deleted',
};

export function maildirName(name: string): MaildirName {
  const info = INFO.exec(name);
  if (info === null) return { base: name.replace(/[:;!]$/, ''), letters: null };
  return { base: name.slice(0, info.index), letters: info[1] ?? '' };
}

/**
 * Flags a message has by its name. Without letters it is unread, which is a fact, not a gap.
 * @param keywords what the letters a…z mean in this folder (Dovecot's dovecot-keywords file), in order
 */
export function flagsOfName({ letters }: MaildirName, keywords: readonly string[]): FlagFacts {
  const system = new Set<SystemFlag>();
  const words = new Set<string>();
  for (const letter of letters ?? '') {
    const flag = SYSTEM[letter];
    if (flag !== undefined) system.add(flag);
    // Passed: resent or forwarded.
    else if (letter === 'P') words.add('$Forwarded');
    else if (letter >= 'a' && letter <= 'z') {
      const keyword = keywords[letter.charCodeAt(0) - 97];
      if (keyword !== undefined) words.add(keyword);
    }
  }
  return { known: true, system, keywords: words };
}

/** Reads a dovecot-keywords file: lines of a number and a keyword. */
export function readKeywords(text: string): string[] {
  const keywords: string[] = [];
  for (const line of text.split('\n')) {
    const match = /^(\d{1,2}) (\S{1,100})$/.exec(line.trim());
    if (match !== null && Number(match[1]) < 26) keywords[Number(match[1])] = match[2] ?? '';
  }
  return keywords;
}
