import type { Resource } from '../../coordination/resources/object.js'
import type { GatewayState } from '../../traffic/gateway/gateway.js'
import type { RouteSpec } from '../../traffic/gateway/spec.js'
import { entryNameOf } from './names.js'
import type { Finding } from './verdict.js'

/**
 * Whether what a resource asks for works, now that the node runs it: of a service, that an endpoint is healthy; of a route, that all
 * services are that it sends requests to. Of other kinds a node has nothing more to say.
 *
 * @returns undefined if there is nothing more to say
 */
export function readinessOf(
  { kind, metadata }: Resource,
  routes: Readonly<Record<string, RouteSpec>>,
  services: GatewayState['services'],
): Finding | undefined {
  const name = entryNameOf(metadata)!
  if (kind === 'Service') return ofService(services[name])
  const route = kind === 'Route' ? routes[name] : undefined
  if (!route) return undefined
  const down = servicesOf(route).filter(
    (name) => services[name] && ofService(services[name]).status !== 'True',
  )
  if (down.length === 0)
    return { status: 'True', reason: 'Healthy', message: 'whatever it leads to is healthy' }
  const names = down.map((name) => `\`${name}\``).join(', ')
  const message = `${down.length === 1 ? 'the service' : 'the services'} ${names} ${down.length === 1 ? 'has' : 'have'} no healthy endpoint`
  return { status: 'False', reason: 'NoHealthyEndpoint', message }
}

function ofService(state: GatewayState['services'][string] | undefined): Finding {
  if (!state)
    return { status: 'Unknown', reason: 'Pending', message: 'nothing is known of its endpoints yet' }
  const { endpoints } = state
  if (endpoints.some(({ available }) => available))
    return { status: 'True', reason: 'Healthy', message: 'it has a healthy endpoint' }
  return endpoints.length === 0
    ? { status: 'False', reason: 'NoEndpoint', message: 'it has no endpoint' }
    : { status: 'False', reason: 'NoHealthyEndpoint', message: 'none of its endpoints is healthy' }
}

/** Where requests go: a share of 0 gets none. */
function servicesOf({ to = [], aggregate }: RouteSpec): string[] {
  if (typeof to === 'string') return [to]
  const branches = Object.values(aggregate?.branches ?? {})
  return [...to.filter(({ weight }) => weight !== 0), ...branches].map(({ service }) => service)
}
