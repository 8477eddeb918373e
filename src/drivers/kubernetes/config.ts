import type { RequestOptions } from 'node:https'
import type * as Client from '@kubernetes/client-node'
import { BanyanError } from '../../core/errors.js'
import { coordinationError } from '../../coordination/errors.js'

/**
 * Which cluster, and as whom: a `KubeConfig` of `@kubernetes/client-node`, of 1.4 or later. It is asked for credentials again and
 * again, so that those of files and commands may change.
 */
export interface KubernetesConfig {
  getCurrentCluster(): { readonly server: string; readonly proxyUrl?: string | undefined } | null
  applyToHTTPSOptions(options: RequestOptions): Promise<void>
}

/**
 * Finds a cluster as kubectl does: the files of `KUBECONFIG`, `~/.kube/config`, or, in a pod, its service account.
 *
 * @param file - a kubeconfig to read in place of those
 * @param context - one of its contexts, in place of its current one
 * @throws `BANYAN_DRIVER_MISSING`, `BANYAN_INVALID_OPTIONS`
 */
export async function loadConfig(
  file: string | undefined,
  context: string | undefined,
): Promise<KubernetesConfig> {
  const { KubeConfig } = await client()
  const config = new KubeConfig()
  try {
    if (file === undefined) config.loadFromDefault()
    else config.loadFromFile(file)
  } catch (error) {
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `kubernetesResources: the kubeconfig ${file ?? ''} cannot be read: ${String(error)}`,
      { cause: error },
    )
  }
  if (context === undefined) return config
  const names = config.getContexts().map(({ name }) => name)
  if (!names.includes(context))
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `kubernetesResources: there is no context ${context}, there are ${names.join(', ') || 'none'}`,
    )
  config.setCurrentContext(context)
  return config
}

async function client(): Promise<typeof Client> {
  try {
    return await import('@kubernetes/client-node')
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw coordinationError(
      'BANYAN_DRIVER_MISSING',
      'resources of Kubernetes need the package @kubernetes/client-node: npm install @kubernetes/client-node',
      error,
    )
  }
}
