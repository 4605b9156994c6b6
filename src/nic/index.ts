/** Interfaces as the data plane finds them: what they are, what stands in the way, what the agent sets. */
export {
  driverOf,
  type InterfaceFacts,
  type Queues,
  readFacts,
  readVirtio,
  type VirtioOffloads,
} from './facts.js';
export {
  type Finding,
  findingsOf,
  headroomFinding,
  type Severity,
  type Situation,
  situationHere,
} from './findings.js';
export {
  closeFilter,
  hindrance,
  type InterfaceRole,
  openFilter,
  prepareOffloads,
  type Prepared,
  type PromiscuousMemory,
  UNWANTED_OFFLOADS,
} from './prepare.js';
