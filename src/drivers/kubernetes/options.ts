import type { Duration } from '../../core/duration.js'
import type { OptionTable } from '../../core/options.js'
import type { Runtime } from '../../core/runtime.js'
import type { KubernetesConfig } from './config.js'

/** Options of `kubernetesResources`. */
export interface KubernetesResourcesOptions {
  /**
   * Which cluster, and as whom: a `KubeConfig` of `@kubernetes/client-node`, or the path of a kubeconfig. Default: as kubectl finds
   * it, and in a pod its service account.
   */
  kubeConfig?: KubernetesConfig | string
  /** A context of the kubeconfig that is read. Default: its current one. */
  context?: string
  /**
   * How long an answer may be silent, in ms or as text; also for how long what can be asked again is, and how long a watch stays
   * without a server before it fails. Default `'30s'`.
   */
  timeout?: Duration
  /** Time and chance. Default: those of the system. */
  runtime?: Runtime
}

/** See {@link KubernetesResourcesOptions}. */
export const KUBERNETES_OPTIONS: OptionTable<KubernetesResourcesOptions> = {
  kubeConfig: {
    kind: 'either',
    of: [
      { kind: 'string', doc: 'The path of a kubeconfig.' },
      { kind: 'code', type: 'object', doc: 'a KubeConfig' },
    ],
    doc: 'Which cluster, and as whom.',
  },
  context: { kind: 'string', doc: 'A context of the kubeconfig.' },
  timeout: { kind: 'duration', min: 1, doc: 'How long an answer may be silent. Default 30s.' },
  runtime: { kind: 'code', type: 'object', doc: 'time and chance' },
}
