"""Who does what where: action scores for boxes, linked to tubes (AVA)."""
