// Package browsertest tests the live page in a browser. It is a module of its own,
// so that what drives a browser stays out of the product.
package browsertest
