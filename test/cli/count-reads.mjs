// Loaded into the command by tests (node --import): counts what is read of the files below $COUNT_READS_BELOW, at the one
// place all of it goes through, and writes the octets by path to $COUNT_READS_TO when the command ends.
// $APPEND_AT_READ: a JSON object of path to text, appended to that file right after its first block was read.
import { appendFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';

const below = process.env.COUNT_READS_BELOW ?? '';
const appends = new Map(Object.entries(JSON.parse(process.env.APPEND_AT_READ ?? '{}')));
const octets = {};

const any = await open(new URL(import.meta.url));
const handles = Object.getPrototypeOf(any);
const { read } = handles;
await any.close();

handles.read = async function counted(...args) {
  const path = readlinkSync(`/proc/self/fd/${this.fd}`);
  const result = await read.apply(this, args);
  if (path.startsWith(below)) {
    octets[path] = (octets[path] ?? 0) + result.bytesRead;
    const text = appends.get(path);
    // The first two octets are read alone, to tell whether the file is compressed.
    if (text !== undefined && result.bytesRead > 2) {
      appends.delete(path);
      appendFileSync(path, text);
    }
  }
  return result;
};

process.on('exit', () => writeFileSync(process.env.COUNT_READS_TO, JSON.stringify(octets)));
