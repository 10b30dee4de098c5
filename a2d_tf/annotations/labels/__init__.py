"""Labels of tools: the actor and the action that each means, and label spaces."""
