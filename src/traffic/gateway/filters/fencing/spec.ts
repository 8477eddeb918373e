import type { Duration } from '../../../../core/duration.js'
import type { HandlerProblem } from '../../../../core/http-handler.js'

/** `routes.<name>.fencing`: who has been replaced does not pass. */
export interface FencingRouteSpec {
  /** The fence: of the election, lock or job whose holder may pass. */
  name: string
  /** Whether a request without a token is refused; otherwise it passes, unfenced. Default true. */
  required?: boolean
  /** How long a request waits for those of earlier holders that are under way. Default 30 s. */
  wait?: Duration
}

/** That a request may pass, or what it is told. */
export type Admission =
  /** `leave` is to be called once, when it has ended. */
  { readonly leave: () => void } | { readonly problem: HandlerProblem }

/** Decides about a request by what its `Fencing-Token` says; never rejects. */
export type Admit = (token: string | undefined) => Promise<Admission>

/** Makes what decides on such a route: whoever has opened the coordinator does, as the gateway knows none. */
export type FencingProvider = (spec: FencingRouteSpec) => Admit | Promise<Admit>
