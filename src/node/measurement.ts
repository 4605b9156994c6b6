/** How well a path does, as the API and the log tell it (bpf/measurement.h). */
import { type MeasureState } from '../../gen/layout.js';
import { type cabernet } from '../../gen/cabernet.js';
import { type Draft } from '../api/message.js';
import { Limit } from '../dataplane/index.js';
import { type Agent } from './agent.js';

/** Undefined: the path is not measured. */
export function measurementState(
  agent: Agent,
  session: number,
): Draft<cabernet.node.v1.MeasurementState> | undefined {
  const measured = session === 0 ? undefined : agent.plane.sessions.measured(session);
  if (!measured) return undefined;
  const { state, delays } = measured;
  return {
    received: {
      packets: state.sent,
      lostPackets: state.lost < 0n ? 0n : state.lost,
      lossPpm: state.loss,
      variationUs: state.variation,
    },
    sent: {
      packets: state.farSent,
      lostPackets: state.farLost,
      lossPpm: state.farLoss,
      variationUs: state.farVariation,
    },
    leastDelayUs: state.least,
    delayUs: state.mean,
    mostDelayUs: state.most,
    delays: [...delays.subarray(0, delays.findLastIndex((count) => count > 0) + 1)],
    breaksLoss: breaks(state, Limit.LIMIT_BREAKS_LOSS),
    breaksDelay: breaks(state, Limit.LIMIT_BREAKS_DELAY),
    breaksVariation: breaks(state, Limit.LIMIT_BREAKS_VARIATION),
    degraded: state.degraded !== 0,
    sinceNs: state.since,
    degradations: state.times,
  };
}

function breaks({ breaks: bits }: MeasureState, limit: number): boolean {
  return (bits & limit) !== 0;
}

/** For a log. `degraded`: the path was left for it, where there is a better one. */
export function measurementFacts(
  agent: Agent,
  session: number,
): { degraded: boolean } & Record<string, unknown> {
  const state = agent.plane.sessions.measured(session)?.state;
  if (!state) return { degraded: false };
  const why = [
    breaks(state, Limit.LIMIT_BREAKS_LOSS) ? 'loss' : '',
    breaks(state, Limit.LIMIT_BREAKS_DELAY) ? 'delay' : '',
    breaks(state, Limit.LIMIT_BREAKS_VARIATION) ? 'variation' : '',
  ].filter((word) => word !== '');
  return {
    degraded: state.degraded !== 0,
    breaks: why.join(' '),
    lossPpm: Math.max(state.loss, state.farLoss),
    delayUs: state.mean,
    variationUs: Math.max(state.variation, state.farVariation),
  };
}
