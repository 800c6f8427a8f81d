# The least that a node's token needs in Consul's ACL, for a cluster named sluice:
#   consul acl policy create -name sluice-node -rules @node-policy.hcl
#   consul acl token create -policy-name sluice-node

# The lock, the epoch, the requested next leader, the running sink, and the nodes'
# own keys; for further streams also what is below sluice/run/.
key_prefix "sluice/" {
  policy = "write"
}

# Nodes do not decide which sink runs: write access to this key is permission to
# run code on all of them.
key "sluice/plugin" {
  policy = "read"
}

# The same for the sinks of further streams, which exist as long as their keys do.
key_prefix "sluice/streams/" {
  policy = "read"
}

# They read the components that `sluice plugin push --to kv` has put there, which
# takes write access to these keys.
key_prefix "sluice/blobs/" {
  policy = "read"
}

# If --leader-key is elsewhere, that key too:
#key "service/distributed-logger/leader" {
#  policy = "write"
#}

service "sluice" {
  policy = "write"
}

# The name of the Consul agent that the node uses, as `consul members` shows it.
# One policy for nodes on several agents needs session_prefix "" instead.
session "agent" {
  policy = "write"
}

# The list of the nodes, for --follower forward and for sluice status.
node_prefix "" {
  policy = "read"
}

# Only for a node that reaches its agent over loopback and has no --advertise: it
# asks the agent for its address.
#agent "agent" {
#  policy = "read"
#}
