import { createRequire } from 'node:module';

/** The query builder in its CommonJS form: its hundreds of modules take two thirds of the time an import of them takes. */
const kysely: typeof import('kysely') = createRequire(import.meta.url)('kysely');

export const { DummyDriver, Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler, sql } = kysely;
