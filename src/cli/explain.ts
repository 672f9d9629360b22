import type { AccountConfig } from '../config/config.js';
import { loadConfig } from '../config/load.js';
import { asFerryError, FerryError, printable } from '../errors.js';
import { openLedgerReadOnly } from '../ledger/sqlite-ledger.js';
import type { DateSource } from '../message/facts.js';
import type { AccountJob } from '../run/account-job.js';
import { decide } from '../run/decide.js';
import { FolderNames } from '../run/folder-names.js';
import type { Ref } from '../sources/source.js';
import { chosenAccounts, stateFile } from './accounts.js';
import { out } from './io.js';
import type { ConfigFlags } from './program.js';
import { listenForSignals } from './signals.js';
import { buildJobs } from './wiring.js';

/** Messages named where REF fits several. */
const ALIKE_SHOWN = 5;

/** Why one message goes where it goes, and what became of it so far. Changes nothing. */
export async function explainCommand(account: string, wanted: string, flags: ConfigFlags): Promise<number> {
  const config = loadConfig(flags.config);
  const state = stateFile(config, flags.state);
  const stop = listenForSignals(() => {});
  const accounts = chosenAccounts(config, [account]);
  const { jobs, unprepared } = await buildJobs(config, accounts, state, {}, stop.graceful);
  for (const { error } of unprepared) throw error;
  const [[job], [configured]] = [jobs, accounts];
  if (job === undefined || configured === undefined) throw new FerryError('BUG', 'no job was built');
  const ledger = openLedgerReadOnly(state);
  try {
    await job.source.open(stop.graceful);
    const ref = await findRef(job, configured.from.kind, wanted, stop.graceful);
    await job.destination.open(stop.graceful);
    const lines = [printable(ref.label)];
    for await (const look of job.source.readHeaders([ref], stop.graceful)) {
      if (!look.ok) throw new FerryError(look.failure.code, look.failure.text, { side: 'from' });
      const facts = job.facts([look.header], look.hints);
      const date = facts.internalDate;
      lines.push(
        `  date     ${date === null ? 'none' : `${new Date(date.date.epoch * 1000).toISOString()} (taken from ${PLACES[date.source]})`}`,
      );
      lines.push(
        `  flags    ${facts.flags.known ? [...facts.flags.system, ...facts.flags.keywords].map(flag => printable(flag)).join(' ') || 'none' : 'the source does not say'}`,
      );
      if (facts.labels.length > 0) lines.push(`  labels   ${facts.labels.map(label => printable(label)).join(', ')}`);
      for (const { label, steps, template, route } of job.explain(facts, ref)) {
        if (label !== null) lines.push(`  label ${printable(label)}`);
        for (const { rule, matched, because } of steps)
          lines.push(`  ${rule}: ${matched ? 'matches' : 'does not match'}: ${because}`);
        if (template !== null) lines.push(`  template ${printable(template)}`);
        if (route.kind === 'skip') lines.push(`  left out: ${printable(route.reason)}`);
      }
      const names = new FolderNames(job.destination.features);
      const decision = decide(job, facts, ref, ref.size ?? look.header.length, names);
      if (decision.kind === 'deliver')
        for (const { path } of decision.targets) lines.push(`  goes to  ${printable(path)}`);
      else
        lines.push(
          decision.kind === 'filtered' ? `  left out by the ${decision.reason}` : `  fails: ${decision.failure.text}`,
        );
    }
    for (const { mailbox, state: now, uid, run, failure } of ledger.reader(job.name).deliveriesOf(ref)) {
      lines.push(
        `  recorded ${now}${mailbox === '' ? '' : ` in ${printable(mailbox)}`}${uid === null ? '' : ` as UID ${uid}`} by ${run}${failure === null ? '' : `: ${failure.text}`}`,
      );
    }
    out(lines.join('\n'));
    return 0;
  } catch (thrown) {
    throw asFerryError(thrown);
  } finally {
    await job.source.close(!job.source.features.quitTakesMail);
    await job.destination.close();
    ledger.close();
    stop.release();
  }
}

/** Where a date was found. */
const PLACES: Readonly<Record<DateSource, string>> = {
  received: 'its topmost Received: line',
  fromLine: 'the line "From …" before it in the mailbox file',
  deliveryDate: 'its Delivery-date: line',
  date: 'its Date: line',
  mtime: 'the time of its file',
};

/** How reports and plans name a message. */
const LABELS: Readonly<Record<AccountConfig['from']['kind'], string>> = {
  pop3: 'its UIDL',
  mbox: "the file and the octet it begins at, e.g. 'Inbox at 5120'",
  maildir: "the folder and the file, e.g. 'INBOX/1546855200.M1.host'",
};

/** By its id or its label in reports, or by a part of these that no other message has. */
async function findRef(job: AccountJob, kind: keyof typeof LABELS, wanted: string, signal: AbortSignal): Promise<Ref> {
  const hint = `Name it by ${LABELS[kind]}; mailferry explain --help says where to find that.`;
  if (wanted.trim() === '') throw new FerryError('USAGE', 'no message is named', { hint });
  const alike: Ref[] = [];
  let more = 0;
  for await (const page of job.source.list({ get: () => undefined }, signal)) {
    if ('unchanged' in page) continue;
    for (const ref of page.refs) {
      const label = printable(ref.label);
      if ([ref.id, ref.label, label].includes(wanted) || label === `UIDL ${wanted}`) return ref;
      if (!label.includes(wanted) && !ref.id.startsWith(wanted)) continue;
      if (alike.length < ALIKE_SHOWN) alike.push(ref);
      else more += 1;
    }
  }
  const [only, ...others] = alike;
  if (only !== undefined && others.length === 0) return only;
  const named = alike.map(({ label }) => printable(label)).join(', ');
  const text =
    only === undefined
      ? `no message ${printable(wanted)} in ${printable(job.name)}`
      : `${alike.length + more} messages of ${printable(job.name)} are called like ${printable(wanted)}: ${named}${more > 0 ? ', …' : ''}`;
  throw new FerryError('USAGE', text, { hint });
}
