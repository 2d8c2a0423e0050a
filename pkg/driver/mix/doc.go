// Package mix is the mix format.
package mix
