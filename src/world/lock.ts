/**
 * One command at a time changes a world. The lock is a listening socket in the kernel's abstract namespace: it goes
 * with the process that has it, however that ends, so there is never a stale one.
 */
import { connect, createServer, type Server } from 'node:net';

import { WorldError } from './errors.js';

export interface Lock {
  release(): Promise<void>;
}

/** Throws WorldError BUSY, naming the holder, if another process has it. `purpose`: what the others are told. */
export async function lockWorld(world: string, purpose: string): Promise<Lock> {
  const address = `\0cabernet/worlds/${world}`;
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(`cabernet ${purpose}, process ${process.pid}`);
  });
  try {
    await listen(server, address);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    const holder = await ask(address);
    throw new WorldError('BUSY', `world ${world} is being changed by ${holder}: wait for it to end`);
  }
  server.unref();
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => resolve());
  });
}

/** What the holder says of itself. */
function ask(path: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(path);
    const end = (): void => {
      socket.destroy();
      resolve(text || 'another process');
    };
    socket.setEncoding('utf8').setTimeout(1000, end);
    socket.on('data', (part: string) => {
      text = `${text}${part}`.replace(/[^\x20-\x7e]/g, '?').slice(0, 200);
    });
    socket.once('error', end).once('close', end);
  });
}
