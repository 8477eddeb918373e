import type { Handler } from '../policy.js'
import type { UpstreamAnswer } from './answer.js'

/** What answers the requests of a route that does not simply go to a service. */
export type Responder = Handler<UpstreamAnswer>
