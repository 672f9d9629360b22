/** SPECIAL-USE attributes a template may name (RFC 6154). */
export type SpecialUse = 'archive' | 'sent' | 'junk' | 'trash' | 'drafts' | 'all' | 'flagged';

/** A folder as routing gives it: parts from the top, in Unicode. `special` replaces the first part where the server has such a mailbox. */
export interface FolderPath {
  readonly parts: readonly string[];
  readonly special?: SpecialUse;
}
