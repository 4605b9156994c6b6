/** GetMachine */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';

import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft } from '../../api/message.js';
import { type Agent } from '../agent.js';
import { driverOf } from '../../nic/index.js';
import { addressText } from '../net-state.js';
import { version } from '../../api/version.js';
import { machineEndName } from '../vifs.js';

export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

async function interfaceRows(agent: Agent): Promise<Draft<cabernet.node.v1.Interface>[]> {
  const attached = agent.plane.attached();
  const row = async (
    name: string,
    role: string,
    index: number | undefined,
  ): Promise<Draft<cabernet.node.v1.Interface>> => {
    const link = index === undefined ? undefined : agent.net.links.get(index);
    if (!link) return { name, role };
    return {
      name: link.name,
      role,
      index: link.index,
      up: link.up && link.running,
      xdpMode: attached.has(link.index) ? 'native' : '',
      mtu: link.mtu,
      mac: link.address ?? '',
      addresses: Array.from(agent.net.addresses.get(link.index)?.values() ?? [], addressText),
      driver: (await driverOf(agent.net.place(link.name)))?.driver ?? link.kind ?? '',
    };
  };
  const rows = Array.from(agent.interfaces.all(), ({ name, role, index }) => row(name, role, index));
  for (const vif of agent.vifs.all) {
    if (vif.links) rows.push(row(machineEndName(vif.id), 'vif', vif.links.machine));
  }
  return Promise.all(rows);
}

export async function getMachine(agent: Agent): Promise<Draft<cabernet.node.v1.GetMachineResponse>> {
  return {
    name: agent.options.name,
    version: version(),
    bootId: bootId(),
    kernel: release(),
    agentStartTimeNs: agent.startTime,
    interfaces: await interfaceRows(agent),
    tables: agent.plane.use().map(({ table, used, capacity, bytes }) => ({ table, used, capacity, bytes })),
    owners: Array.from(agent.registry.holdings.values(), ({ owner, epoch, size }) => ({
      owner,
      epoch,
      resources: size,
    })),
  };
}
