/** One message file as an earlier run saw it. */
export interface FileMemory {
  readonly size: number;
  readonly mtimeNs: string;
  /** Hexadecimal. */
  readonly id: string;
  /** Octets in wire form. */
  readonly wireSize: number;
}

/** A folder as it was when it was listed. */
export interface FolderMemory {
  /** Modification times of `cur` and `new`: they change when a file comes, goes or gets another flag. null: too fresh to tell. */
  readonly times: readonly [string, string] | null;
  readonly options: string;
  /** By the part of the name that never changes. */
  readonly files: ReadonlyMap<string, FileMemory>;
  /** The messages that were listed: id and which of the equal ones. */
  readonly listed: readonly (readonly [string, number])[];
  readonly deleted: number;
}

const VERSION = 1;

interface Written {
  readonly version: number;
  readonly times: readonly [string, string] | null;
  readonly options: string;
  readonly files: readonly (readonly [string, number, string, string, number])[];
  readonly listed: readonly (readonly [string, number])[];
  readonly deleted: number;
}

export function writeFolderMemory({ times, options, files, listed, deleted }: FolderMemory): string {
  const rows = [...files].map(([base, f]) => [base, f.size, f.mtimeNs, f.id, f.wireSize] as const);
  const written: Written = { version: VERSION, times, options, files: rows, listed, deleted };
  return JSON.stringify(written);
}

/** null: nothing remembered, or by another version. */
export function readFolderMemory(value: string | undefined): FolderMemory | null {
  if (value === undefined) return null;
  let written: Partial<Written>;
  try {
    written = JSON.parse(value) as Partial<Written>;
  } catch {
    return null;
  }
  const { times, options, files, listed, deleted } = written;
  if (written.version !== VERSION || options === undefined) return null;
  if (times === undefined || files === undefined || listed === undefined) return null;
  const byBase = files.map(([base, size, mtimeNs, id, wireSize]) => [base, { size, mtimeNs, id, wireSize }] as const);
  return { times, options, files: new Map(byBase), listed, deleted: deleted ?? 0 };
}
