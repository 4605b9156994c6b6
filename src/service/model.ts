/** What the controller of a service provider keeps, by its API's names. */
import { type cabernet } from '../../gen/cabernet.js';
import { type Message } from '../api/message.js';
import { type BodiesOf } from '../controller/kind.js';
import { type Admission } from '../controller/methods.js';
import { type State, type Transaction, type View as AnyView } from '../controller/state.js';

export type Resource = Message<cabernet.service.v1.Resource>;
export type Bodies = BodiesOf<Resource>;
export type KindName = keyof Bodies;
export type ServiceState = State<Bodies>;
export type View = AnyView<Bodies>;
export type Tx = Transaction<Bodies>;
export type Change = Admission<Bodies>;

/** The name of the one network. */
export const NETWORK = 'network';

/** `P` of `nodes/P`; also of `nodes/P/routes/r`. */
export function idOf(name: string): string {
  return name.split('/')[1] ?? '';
}

/** A link's vif at one end, as it is called when nothing is said. */
export function vifToward(vif: string, far: string): string {
  return vif === '' ? `to-${idOf(far)}` : vif;
}
