import type { Duration } from '../core/duration.js'
import type { GatewaySpec } from '../traffic/gateway/spec.js'
import type { AccessLogSpec } from './access-log/spec.js'
import type { HttpLimits } from '../traffic/http/limits.js'

/** Everything a node runs. */
export interface NodeSpec extends GatewaySpec {
  /** Where clients come in: `host:port`, `:port` or a port. */
  listen: readonly (string | number)[]
  /** Where operators come in; `false` for nowhere. */
  admin: string | number | false
  limits: Partial<HttpLimits>
  trust: readonly string[]
  /** One line of JSON for each request. Default false. */
  accessLog?: boolean | AccessLogSpec
  drain: {
    /** Between failing readiness and taking no more connections, for load balancers to notice. */
    delay: Duration
    /** For requests in flight to finish; what is left then is cut. */
    grace: Duration
  }
}
