/**
 * One process at a time works on a data plane: whoever listens on an abstract socket named after its folder. The
 * kernel gives it back when the process ends, however it ends.
 */
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { resolve } from 'node:path';
import { DataPlaneError } from './errors.js';

export class Lock {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** `IN_USE` when another process (or this one) has the data plane of this folder open. */
  static async take(folder: string): Promise<Lock> {
    const digest = createHash('sha256').update(resolve(folder)).digest('hex');
    const server = createServer((socket) => socket.destroy());
    server.unref();
    await new Promise<void>((done, fail) => {
      server.once('error', (cause: NodeJS.ErrnoException) => {
        if (cause.code !== 'EADDRINUSE') return fail(cause);
        const detail = 'another process works on this data plane: stop it first';
        return fail(
          new DataPlaneError({ code: 'IN_USE', operation: 'open', subject: folder, detail, cause }),
        );
      });
      server.listen(`\0cabernet.dataplane.${digest.slice(0, 40)}`, done);
    });
    return new Lock(server);
  }

  async release(): Promise<void> {
    await new Promise<void>((done) => {
      this.#server.close(() => done());
    });
  }
}
