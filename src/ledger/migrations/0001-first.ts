/**
 * The first layout. Never edited once released: a change is a new migration. Times are epoch milliseconds, sizes octets,
 * dates epoch seconds and minutes east of UTC. Comments stand before a statement: inside it they would be kept in the file.
 */
export const FIRST = `
create table "run" (
  "id" integer primary key,
  "name" text not null unique,
  "started_at" integer not null,
  "ended_at" integer,
  "exit_code" integer,
  "options" text not null,
  "result" text
) strict;

create table "account" (
  "id" integer primary key,
  "name" text not null unique,
  "source" text not null,
  "destination" text not null,
  "last_run" integer references "run" ("id")
) strict;

-- Who holds an account's lock: information for people, never the lock itself.
create table "holder" (
  "account" text primary key,
  "pid" integer not null,
  "since" integer not null
) strict;

-- A mailbox belongs to a destination: accounts that write to the same one share its UIDs.
create table "mailbox" (
  "id" integer primary key,
  "destination" text not null,
  "path" text not null,
  constraint "mailbox_path" unique ("destination", "path")
) strict;

-- deliveries: of the latest intent; 0: it never had one.
-- removed_at: negative: its removal at the source was asked for and not confirmed.
create table "message" (
  "id" integer primary key,
  "account" integer not null references "account" ("id"),
  "key" any not null,
  "occurrence" integer not null,
  "label" text not null,
  "size" integer not null,
  "header" blob,
  "canonical_header" blob,
  "body" blob,
  "digest_size" integer,
  "deliveries" integer not null,
  "skip" integer,
  "removed_at" integer,
  constraint "message_key" unique ("account", "key", "occurrence")
) strict;

-- Eight octets find a digest as well as thirty-two and save 24 MB a million messages.
create index "message_digest" on "message" (substr(header, 1, 8)) where "header" is not null;

-- AUTOINCREMENT: the id of a withdrawn delivery is never given to another one.
-- staged_validity, staged_floor: window in the staging mailbox; null: appended to its mailbox directly.
-- flags: joined with blanks.
create table "delivery" (
  "id" integer primary key autoincrement,
  "account" integer not null references "account" ("id"),
  "message" integer not null references "message" ("id"),
  "mailbox" integer not null references "mailbox" ("id"),
  "run" integer not null references "run" ("id"),
  "state" integer not null,
  "how" integer,
  "at" integer not null,
  "uid_validity" integer not null,
  "uid_floor" integer not null,
  "uid" integer,
  "uid_end" integer,
  "staged_validity" integer,
  "staged_floor" integer,
  "flags" text not null,
  "date_epoch" integer,
  "date_offset" integer,
  "failure_code" text,
  "failure_text" text,
  "verified" integer,
  "verified_at" integer,
  constraint "delivery_once" unique ("message", "mailbox")
) strict;

create index "delivery_run" on "delivery" ("account", "run");

-- The few that are not done, so that finding them does not read the many that are.
create index "delivery_open" on "delivery" ("account", "state") where "state" <> 2;

create index "delivery_uid" on "delivery" ("mailbox", "uid_validity", "uid", "state") where "uid" is not null;

-- Attempts given up as not stored, which a slow server might still commit.
create table "watch" (
  "id" integer primary key,
  "account" integer not null references "account" ("id"),
  "run" integer not null references "run" ("id"),
  "mailbox" integer not null references "mailbox" ("id"),
  "label" text not null,
  "uid_validity" integer not null,
  "uid_floor" integer not null,
  "header" blob not null,
  "canonical_header" blob not null,
  "body" blob not null,
  "size" integer not null,
  "at" integer not null
) strict;

create table "checkpoint" (
  "account" integer not null references "account" ("id"),
  "key" text not null,
  "value" text not null,
  constraint "checkpoint_key" primary key ("account", "key")
) strict, without rowid;

create table "created" (
  "account" integer not null references "account" ("id"),
  "run" integer not null references "run" ("id"),
  "path" text not null,
  constraint "created_key" primary key ("account", "run", "path")
) strict, without rowid;
`;
