// Loaded into the command with node --import: the heap is full in the middle of its work, which ends it at once.
import net from 'node:net';

let seen = 0;
const { write } = net.Socket.prototype;
net.Socket.prototype.write = function (chunk, ...rest) {
  if (String(chunk).includes('APPEND ') && ++seen === 2)
    for (const held = []; ; ) held.push(new Array(100_000).fill(held));
  return write.call(this, chunk, ...rest);
};
