import type { CompiledQuery, SchemaModule } from 'kysely';
import { sql } from '../kysely.js';

/** The first layout. Never edited once released: a change is a new migration. */
export function first(schema: SchemaModule): CompiledQuery[] {
  const strict = sql`strict`;
  return [
    schema
      .createTable('run')
      .addColumn('id', 'integer', c => c.primaryKey())
      .addColumn('name', 'text', c => c.notNull().unique())
      .addColumn('started_at', 'integer', c => c.notNull())
      .addColumn('ended_at', 'integer')
      .addColumn('exit_code', 'integer')
      .addColumn('options', 'text', c => c.notNull())
      .addColumn('result', 'text')
      .modifyEnd(strict),
    schema
      .createTable('account')
      .addColumn('id', 'integer', c => c.primaryKey())
      .addColumn('name', 'text', c => c.notNull().unique())
      .addColumn('source', 'text', c => c.notNull())
      .addColumn('destination', 'text', c => c.notNull())
      .addColumn('last_run', 'integer', c => c.references('run.id'))
      .modifyEnd(strict),
    schema
      .createTable('holder')
      .addColumn('account', 'text', c => c.primaryKey())
      .addColumn('pid', 'integer', c => c.notNull())
      .addColumn('since', 'integer', c => c.notNull())
      .modifyEnd(strict),
    schema
      .createTable('mailbox')
      .addColumn('id', 'integer', c => c.primaryKey())
      .addColumn('destination', 'text', c => c.notNull())
      .addColumn('path', 'text', c => c.notNull())
      .addUniqueConstraint('mailbox_path', ['destination', 'path'])
      .modifyEnd(strict),
    schema
      .createTable('message')
      .addColumn('id', 'integer', c => c.primaryKey())
      .addColumn('account', 'integer', c => c.notNull().references('account.id'))
      .addColumn('key', sql`any`, c => c.notNull())
      .addColumn('occurrence', 'integer', c => c.notNull())
      .addColumn('label', 'text', c => c.notNull())
      .addColumn('size', 'integer', c => c.notNull())
      .addColumn('header', 'blob')
      .addColumn('canonical_header', 'blob')
      .addColumn('body', 'blob')
      .addColumn('digest_size', 'integer')
      .addColumn('deliveries', 'integer', c => c.notNull())
      .addColumn('skip', 'integer')
      .addColumn('removed_at', 'integer')
      .addUniqueConstraint('message_key', ['account', 'key', 'occurrence'])
      .modifyEnd(strict),
    // Eight octets find a digest as well as thirty-two and save 24 MB a million messages.
    schema
      .createIndex('message_digest')
      .on('message')
      .expression(sql`substr(header, 1, 8)`)
      .where(sql.ref('header'), 'is not', null),
    schema
      .createTable('delivery')
      // AUTOINCREMENT: the id of a withdrawn delivery is never given to another one.
      .addColumn('id', 'integer', c => c.primaryKey().autoIncrement())
      .addColumn('account', 'integer', c => c.notNull().references('account.id'))
      .addColumn('message', 'integer', c => c.notNull().references('message.id'))
      .addColumn('mailbox', 'integer', c => c.notNull().references('mailbox.id'))
      .addColumn('run', 'integer', c => c.notNull().references('run.id'))
      .addColumn('state', 'integer', c => c.notNull())
      .addColumn('how', 'integer')
      .addColumn('at', 'integer', c => c.notNull())
      .addColumn('uid_validity', 'integer', c => c.notNull())
      .addColumn('uid_floor', 'integer', c => c.notNull())
      .addColumn('uid', 'integer')
      .addColumn('uid_end', 'integer')
      .addColumn('staged_validity', 'integer')
      .addColumn('staged_floor', 'integer')
      .addColumn('flags', 'text', c => c.notNull())
      .addColumn('date_epoch', 'integer')
      .addColumn('date_offset', 'integer')
      .addColumn('failure_code', 'text')
      .addColumn('failure_text', 'text')
      .addColumn('verified', 'integer')
      .addColumn('verified_at', 'integer')
      .addUniqueConstraint('delivery_once', ['message', 'mailbox'])
      .modifyEnd(strict),
    schema.createIndex('delivery_run').on('delivery').columns(['account', 'run']),
    // The few that are not done, so that finding them does not read the many that are.
    schema
      .createIndex('delivery_open')
      .on('delivery')
      .columns(['account', 'state'])
      .where(sql.ref('state'), '<>', sql.lit(2)),
    schema
      .createIndex('delivery_uid')
      .on('delivery')
      .columns(['mailbox', 'uid_validity', 'uid', 'state'])
      .where(sql.ref('uid'), 'is not', null),
    schema
      .createTable('watch')
      .addColumn('id', 'integer', c => c.primaryKey())
      .addColumn('account', 'integer', c => c.notNull().references('account.id'))
      .addColumn('run', 'integer', c => c.notNull().references('run.id'))
      .addColumn('mailbox', 'integer', c => c.notNull().references('mailbox.id'))
      .addColumn('label', 'text', c => c.notNull())
      .addColumn('uid_validity', 'integer', c => c.notNull())
      .addColumn('uid_floor', 'integer', c => c.notNull())
      .addColumn('header', 'blob', c => c.notNull())
      .addColumn('canonical_header', 'blob', c => c.notNull())
      .addColumn('body', 'blob', c => c.notNull())
      .addColumn('size', 'integer', c => c.notNull())
      .addColumn('at', 'integer', c => c.notNull())
      .modifyEnd(strict),
    schema
      .createTable('checkpoint')
      .addColumn('account', 'integer', c => c.notNull().references('account.id'))
      .addColumn('key', 'text', c => c.notNull())
      .addColumn('value', 'text', c => c.notNull())
      .addPrimaryKeyConstraint('checkpoint_key', ['account', 'key'])
      .modifyEnd(sql`strict, without rowid`),
    schema
      .createTable('created')
      .addColumn('account', 'integer', c => c.notNull().references('account.id'))
      .addColumn('run', 'integer', c => c.notNull().references('run.id'))
      .addColumn('path', 'text', c => c.notNull())
      .addPrimaryKeyConstraint('created_key', ['account', 'run', 'path'])
      .modifyEnd(sql`strict, without rowid`),
  ].map(statement => statement.compile());
}
