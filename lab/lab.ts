/** A lab: guests with one kernel and the wires between them; all of it goes when it is closed, or with this process. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Guest, type GuestOptions } from './guest.js';
import { type Kernel } from './kernels.js';
import { Network } from './network.js';

export class Lab {
  readonly kernel: Kernel;
  readonly network: Network;
  readonly #folder: string;
  readonly #guests: Guest[] = [];

  private constructor(kernel: Kernel, network: Network) {
    this.kernel = kernel;
    this.network = network;
    this.#folder = mkdtempSync(join(tmpdir(), 'cabernet-lab-'));
  }

  static async open(kernel: Kernel): Promise<Lab> {
    return new Lab(kernel, await Network.open());
  }

  async boot(options: Omit<GuestOptions, 'kernel'>): Promise<Guest> {
    const guest = await Guest.boot(
      { ...options, kernel: this.kernel },
      this.network,
      join(this.#folder, options.name),
    );
    this.#guests.push(guest);
    return guest;
  }

  async close(): Promise<void> {
    await Promise.all(this.#guests.map((guest) => guest.close()));
    await this.network.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
