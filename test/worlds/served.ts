/** Real agents in the namespaces of machines, each with its API on a unix socket, in this process. */
import { silentLogger } from '../../src/api/log.js';
import { type ApiServer, startServer } from '../../src/api/server.js';
import { type Agent } from '../../src/node/agent.js';
import { translate } from '../../src/node/refusal.js';
import { nodeService } from '../../src/node/rpc/index.js';
import { startAgent } from '../node/machines.js';

export class ServedAgents {
  readonly #agents = new Map<string, Agent>();
  readonly #servers: ApiServer[] = [];

  /** At `FOLDER/MACHINE.sock`. */
  async start(folder: string, machines: readonly string[]): Promise<void> {
    for (const name of machines) {
      const agent = await startAgent(name);
      this.#agents.set(name, agent);
      const socketPath = `${folder}/${name}.sock`;
      const services = [nodeService(agent)];
      this.#servers.push(await startServer({ socketPath, services, log: silentLogger, translate }));
    }
  }

  get(machine: string): Agent {
    const agent = this.#agents.get(machine);
    if (!agent) throw new Error(`no agent runs on ${machine}`);
    return agent;
  }

  async close(): Promise<void> {
    for (const server of this.#servers) await server.stop(500);
    for (const agent of this.#agents.values()) await agent.close();
  }
}
