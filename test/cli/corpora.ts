import { readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

export interface RealMail {
  readonly file: string;
  readonly octets: Buffer;
}

/** Where collected real mail lies, null where it is not at hand: tests say so in one line and skip. */
export function corporaFolder(): string | null {
  const folder = process.env['MAILFERRY_CORPORA'];
  return folder === undefined ? null : realpathSync(folder);
}

/** Files that hold one message each, by the collection's list. */
export function singleMessages(folder: string): RealMail[] {
  const [head = '', ...lines] = readFileSync(join(folder, 'MANIFEST.tsv'), 'utf8').trimEnd().split('\n');
  const columns = head.split('\t');
  const [file, messages, counted] = ['file', 'messages', 'how_counted'].map(name => columns.indexOf(name));
  return lines.flatMap(line => {
    const cells = line.split('\t');
    const name = cells[file ?? -1] ?? '';
    if (cells[messages ?? -1] !== '1' || !(cells[counted ?? -1] ?? '').startsWith('one message per file')) return [];
    return [{ file: name, octets: readFileSync(join(folder, name)) }];
  });
}
