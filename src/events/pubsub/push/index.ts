/**
 * Push: messages go to an HTTP endpoint by themselves. `push.ts` takes messages and says what became of them; `request.ts` makes
 * requests of them, `signature.ts` signs and verifies those, `verdict.ts` is what answers mean, and `gate.ts` waits for an
 * endpoint that is not there.
 */
export type { PushInit, PushOptions, Send } from './options.js'
export { push, type Push, type PushStatus } from './push.js'
export {
  verifyWebhook,
  type VerifiedWebhook,
  type VerifyWebhookOptions,
  type WebhookHeaders,
} from './signature.js'
