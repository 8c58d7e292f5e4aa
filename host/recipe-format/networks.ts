/** The shared network on which the proxy finds apps; the host's, not the recipe's. */
export const PROXY_NETWORK = 'proxy';

/** The network that is the host's own. */
export const HOST_NETWORK = 'host';
