import { coordinationError } from '../errors.js'
import type { NodeFault } from './node.js'

/** A server was found to be other than thought, before anything was begun there. */
export class Refusal extends Error {}

/** What to tell of a server that is there, and takes no more at once. */
export function busy(fault: NodeFault): Error {
  return coordinationError('BANYAN_REPLICAS_BUSY', `${fault.message}; nothing was done`, fault)
}
