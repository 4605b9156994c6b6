/** ListLabels */
import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft, type Message } from '../../api/message.js';
import { type Agent } from '../agent.js';
import { labelMessage } from '../names.js';
import { page } from './lists.js';

export function listLabels(
  agent: Agent,
  request: Message<cabernet.node.v1.ListLabelsRequest>,
): Draft<cabernet.node.v1.ListLabelsResponse> {
  const { items, nextPageToken } = page(
    'labels',
    [...agent.labels.all],
    ({ intent }) => `${intent.context.name} ${String(intent.label).padStart(7, '0')}`,
    request,
  );
  return {
    labels: items.map(({ owner, intent }) => ({ label: labelMessage(intent), owner })),
    nextPageToken,
  };
}
