// Loaded into the command with node --import: something nobody foresaw goes wrong in the middle of its work.
import net from 'node:net';

let seen = 0;
const { write } = net.Socket.prototype;
net.Socket.prototype.write = function (chunk, ...rest) {
  if (String(chunk).includes('APPEND ') && ++seen === 1) {
    setImmediate(() => {
      throw new Error('unforeseen');
    });
  }
  return write.call(this, chunk, ...rest);
};
